import hmac


def signed(signature, expected, given, settings, token_count, key):
    # ruleid: secret-compared-by-bytes
    if signature == expected:
        return True
    # ruleid: secret-compared-by-bytes
    if expected != given.csrf:
        return False
    # ruleid: secret-compared-by-bytes
    if settings.secret.get_secret_value() == given:
        return True
    # ok: secret-compared-by-bytes
    if signature == "":
        return False
    # ok: secret-compared-by-bytes
    if token_count == 3:
        return True
    # ok: secret-compared-by-bytes
    return hmac.compare_digest(signature, expected)
