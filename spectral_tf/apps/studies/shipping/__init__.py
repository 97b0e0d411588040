"""Groups of deliveries: found, compared, put into words, and doubted."""
