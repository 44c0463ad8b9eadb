"""penstock <noun> <verb>. Decimals and environment variables exist only from here on outward."""
