"""The receivers of notifications: a web server and a mail server of the test, with answers that the test sets."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WEBHOOK_SECRET = "whsec_" + b64encode(b"sixteen grey owls read 7").decode()


@dataclass
class Post:
    """A request that the web server received."""

    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class WebReceiver:
    """A web server. It sends the raw responses in `answers` first, and 204 after them."""

    port: int = 0
    scheme: str = "http"
    posts: list[Post] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    # Called after each request, before its response.
    before_answer: Callable[[], Any] | None = None
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/hunter2"

    @property
    def kinds(self) -> list[str]:
        return [post.payload["type"] for post in self.posts]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
            self.posts.append(Post(headers | {":": head[0]}, body))
            if self.before_answer is not None:
                await self.before_answer()
            writer.write(self.answers.pop(0) if self.answers else answer(204))
            await writer.drain()
        self.at_once -= 1
        writer.close()

    async def until(self, number: int, seconds: float = 10) -> None:
        """Wait until the server has received this many requests."""
        async with asyncio.timeout(seconds):
            while len(self.posts) < number:
                await asyncio.sleep(0.01)


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of an HTTP response."""
    lines = [f"HTTP/1.1 {status} So", *headers, f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def web_receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[WebReceiver]:
    """Run a web server until the block ends."""
    receiver = WebReceiver(scheme="https" if tls else "http")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@dataclass
class Mailbox:
    """A mail server. It sends the replies in `answers` to the first recipients (RCPT), and 250 after them.

    `answers_to_data` are its replies to mails (DATA). If `hangs` is set, it never replies to a recipient.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    answers_to_data: list[str] = field(default_factory=list)
    hangs: bool = False
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        while self.hangs:
            await asyncio.sleep(0.1)
        said = self.answers.pop(0) if self.answers else "250 fine"
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answers_to_data:
            return self.answers_to_data.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append(envelope)
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 taken"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login, given.password))
        return AuthResult(success=given.password == b"hunter2", handled=False)

    async def until(self, number: int, seconds: float = 10) -> None:
        """Wait until the server has received this many mails."""
        async with asyncio.timeout(seconds):
            while len(self.mails) < number:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def mailbox(
    tls: ssl.SSLContext | None = None, *, from_the_start: bool = False, auth: bool = False
) -> AsyncIterator[Mailbox]:
    """Run a mail server until the block ends. With `tls` it offers STARTTLS, or uses TLS from the start."""
    box = Mailbox()

    def talk() -> SMTP:
        offered = None if from_the_start else tls
        return SMTP(
            box,
            hostname="mail.example.org",
            tls_context=offered,
            authenticator=box.authenticate if auth else None,
            auth_require_tls=not auth or offered is not None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(talk, "127.0.0.1", 0, ssl=tls if from_the_start else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port that accepts connections and never sends a byte."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


def certificate(folder: Path, *, host: str = "127.0.0.1", days: int = 1) -> tuple[ssl.SSLContext, Path]:
    """Create a self-signed certificate for a host. Return the server's TLS context and the file that clients trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now().astimezone()
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, both = folder / f"{host}.crt", folder / f"{host}.both"
    public = made.public_bytes(serialization.Encoding.PEM)
    trusted.write_bytes(public)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, trusted
