"""Personal data and secrets: found by anchored, linear-time rules, then redacted, masked or hashed."""
