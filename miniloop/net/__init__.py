"""Bytes in and out: one file for each thing a user can name."""
