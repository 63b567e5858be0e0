import ssl

import httpx

# ruleid: tls-not-verified
httpx.get("https://engine", verify=False)
# ruleid: tls-not-verified
context = ssl._create_unverified_context()
# ruleid: tls-not-verified
context.check_hostname = False
# ruleid: tls-not-verified
context.verify_mode = ssl.CERT_NONE
# ok: tls-not-verified
httpx.get("https://engine", verify="/etc/ca.pem")
# ok: tls-not-verified
jwt_options = {"verify": False}
