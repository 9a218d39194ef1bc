"""What training writes to be able to go on: atomic, checksummed, without pickle."""
