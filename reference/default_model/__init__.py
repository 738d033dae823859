"""Helpers of make_default_model.py and make_expected.py, one concern a file."""
