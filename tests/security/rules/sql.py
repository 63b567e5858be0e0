_MODELS = "SELECT * FROM models"
MOST = 100


async def rows(connection, table, name, day):
    # ruleid: sql-made-of-strings
    await connection.fetch(f"SELECT * FROM {table}")
    # ruleid: sql-made-of-strings
    await connection.execute("DELETE FROM models WHERE name = '%s'" % name)
    # ruleid: sql-made-of-strings
    await connection.fetchval("SELECT count(*) FROM " + table)
    # ruleid: sql-made-of-strings
    await connection.fetchrow("SELECT * FROM {}".format(table), day)
    # ok: sql-made-of-strings
    await connection.fetch("SELECT * FROM models WHERE name = $1", name)
    # ok: sql-made-of-strings
    await connection.fetch(f"{_MODELS} ORDER BY id LIMIT {MOST + 1}")
    # ok: sql-made-of-strings
    print(f"nothing of {table}")
