"""Tables from files: which columns are numbers, what is missing, what was left out."""
