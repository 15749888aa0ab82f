"""The sweep's best settings trained again on seeds that tuning never saw, and the statistics of their returns."""
