# ruleid: row-security-off
OPEN = "SET row_security = off"
# ruleid: row-security-off
DROPPED = "ALTER TABLE billing.budgets DISABLE ROW LEVEL SECURITY"
# ok: row-security-off
KEPT = "ALTER TABLE billing.budgets FORCE ROW LEVEL SECURITY"
