"""What engines count themselves, held against what was charged."""
