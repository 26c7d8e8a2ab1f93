"""Choosing the scans whose annotation helps most."""
