"""What monolith and gateway share: keys, admission, usage, routes. Plain: msgspec and the standard library."""
