"""Engines behind TLS: what is trusted is read once for all of them, and checked for each."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ias.contract.addresses import networks
from ias_gateway.addresses import Addresses
from ias_gateway.knock import NoAnswer, knock
from ias_gateway.log import Log
from ias_gateway.tls import client_context
from ias_gateway.upstream import Pool, question

LOCAL = Addresses(networks("127.0.0.0/8"), Log("gateway", "ERROR"))
SOME = 16


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """Each store of certificates that is read from now on."""
    made: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counted() -> ssl.SSLContext:
        made.append(create())
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    client_context.cache_clear()
    return made


@pytest.fixture
async def untrusted(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a server on localhost whose certificate nobody but itself has signed."""
    key, moment = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(moment - timedelta(days=1)).not_valid_after(moment + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    form = serialization.PrivateFormat.PKCS8
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_certificates_and_names_are_checked() -> None:
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_many_replicas_behind_tls_cost_the_loop_one_reading_of_what_is_trusted(
    read: list[ssl.SSLContext],
) -> None:
    for number in range(SOME):
        Pool(f"https://engine-{number}.example:8000")
        with pytest.raises(NoAnswer):
            # Nobody listens on this port.
            await knock("https://127.0.0.1:1", LOCAL, question("https://127.0.0.1:1", b"/metrics"))
    assert len(read) == 1


async def test_an_engine_without_tls_costs_none(read: list[ssl.SSLContext]) -> None:
    Pool("http://engine.example:8000")
    with pytest.raises(NoAnswer):
        await knock("http://127.0.0.1:1", LOCAL, question("http://127.0.0.1:1", b"/health"))
    assert read == []


def test_a_question_goes_beside_v1_below_the_replicas_path_without_what_it_says_of_users() -> None:
    assert question("https://user:secret@engine.example:8443/a/", b"/metrics") == (
        b"GET /a/metrics HTTP/1.1\r\nhost: engine.example:8443\r\naccept-encoding: identity\r\n\r\n"
    )


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(untrusted: int) -> None:
    url = f"https://localhost:{untrusted}"
    with pytest.raises(NoAnswer, match="certificate is not trusted"):
        await asyncio.wait_for(knock(url, LOCAL, question(url, b"/health")), 20)
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.wait_for(Pool(url, LOCAL).open(), 20)
