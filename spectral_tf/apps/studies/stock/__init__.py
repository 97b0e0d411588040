"""Anomalies in the daily demand of many items, found from the past alone."""
