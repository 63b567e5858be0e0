"""The console in a real browser: Debian's Chromium, driven by playwright, in front of the whole running product."""
