"""The Optuna study: which parameters each trial gets, and the database that indexes the results."""
