"""The commands of the program that no other room has, one class each."""
