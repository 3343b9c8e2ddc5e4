"""The one loop that joins measurements, operator and prior."""
