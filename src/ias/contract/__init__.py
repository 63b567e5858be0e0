"""What the control plane and the gateway share: keys, admission, usage, routes. Plain: msgspec and the standard library."""
