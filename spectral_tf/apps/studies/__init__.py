"""Proofs of concept on tables of a company: stock and shipping, from data to report."""
