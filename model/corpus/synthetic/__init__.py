"""Synthetic tasks: questions whose answers a program can judge."""
