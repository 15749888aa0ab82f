"""Trains the sweep's best settings again on seeds that tuning never saw, and computes statistics of their returns."""
