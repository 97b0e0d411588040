"""A page of results: one HTML file with text, tables and figures in two languages."""
