"""Programs and reports on top of the library; nothing below imports them."""
