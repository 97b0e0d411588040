"""Runs of training, seen afterwards or while they go: read, compare, draw."""
