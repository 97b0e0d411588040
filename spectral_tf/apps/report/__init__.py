"""What is shown of results: text tables and figures, from plain numbers."""
