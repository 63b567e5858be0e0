"""What every command of `ias-admin` shares: where it speaks to and as whom, how it prints, how it ends."""
