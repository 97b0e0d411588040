"""Instances with their right answers: random families, and tables cut into blocks."""
