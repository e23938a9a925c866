"""An account with a history: sessions on several devices, and one session that an attacker has copied."""

from datetime import datetime, timedelta

from auth.outcomes import ClientInfo, Replayed, Rotated, SignedIn
from auth.services import Services
from tests.support.endpoints import PASSWORD

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
SAFARI = f"{_MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
_ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel Tablet)"
TABLET = f"{_ANDROID} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
PROGRAM = "kindred-backup/2.4"
THIEF = "curl/8.5.0"

HOME, TRAIN, OFFICE, ELSEWHERE = "203.0.113.24", "198.51.100.61", "2001:db8:40::9", "192.0.2.177"


class AccountHistory:
    """Creates an account's history. The use cases take the time as an argument."""

    def __init__(self, services: Services, username: str, now: datetime) -> None:
        self.services = services
        self.username = username
        self.now = now
        self._attempts = 0

    async def sign_in(self, user_agent: str | None, ip: str, ago: timedelta, name: str | None = None) -> SignedIn:
        """Sign in this long ago."""
        origin = ClientInfo(ip, user_agent)
        signed_in = await self.services.sign_in.login(self.username, PASSWORD, name, origin, self.now - ago)
        assert isinstance(signed_in, SignedIn)
        return signed_in

    async def fail(self, user_agent: str, ip: str, ago: timedelta) -> None:
        """Try a wrong password this long ago."""
        await self.services.sign_in.login(
            self.username, "not my password", None, ClientInfo(ip, user_agent), self.now - ago
        )

    async def renew(self, token: str, user_agent: str, ip: str, ago: timedelta) -> str:
        """Refresh this long ago. Returns the next token."""
        self._attempts += 1
        key = f"attempt-number-{self._attempts:04}"
        rotated = await self.services.rotation.refresh(token, key, ClientInfo(ip, user_agent), self.now - ago)
        assert isinstance(rotated, Rotated)
        return rotated.tokens.refresh_token

    async def replay(self, token: str, user_agent: str, ip: str, ago: timedelta) -> None:
        """Use a token a second time."""
        replayed = await self.services.rotation.refresh(token, None, ClientInfo(ip, user_agent), self.now - ago)
        assert isinstance(replayed, Replayed)

    async def several_devices(self) -> None:
        """Create four sessions, one of them of a program."""
        days, hours, minutes = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes"))
        backup = await self.sign_in(PROGRAM, OFFICE, 20 * days, "Nightly backup")
        await self.renew(backup.tokens.refresh_token, PROGRAM, OFFICE, 13 * hours)
        tablet = await self.sign_in(TABLET, HOME, 9 * days)
        await self.renew(tablet.tokens.refresh_token, TABLET, HOME, 3 * days)
        await self.fail(FIREFOX, OFFICE, 2 * days)
        await self.sign_in(FIREFOX, OFFICE, 2 * days - minutes, "Office computer")
        phone = await self.sign_in(PHONE, HOME, 6 * days, "My phone")
        await self.renew(phone.tokens.refresh_token, PHONE, TRAIN, 5 * minutes)

    async def theft(self) -> str:
        """Create a session whose fourth token an attacker uses first and its owner second. Returns its ID."""
        hours, minutes = timedelta(hours=1), timedelta(minutes=1)
        laptop = await self.sign_in(SAFARI, HOME, 26 * hours, "Laptop")
        token = await self.renew(laptop.tokens.refresh_token, SAFARI, HOME, 25 * hours)
        token = await self.renew(token, SAFARI, TRAIN, 9 * hours)
        held = await self.renew(token, SAFARI, HOME, 2 * hours + 30 * minutes)
        stolen = await self.renew(held, THIEF, ELSEWHERE, 2 * hours + 18 * minutes)
        await self.renew(stolen, THIEF, ELSEWHERE, 2 * hours + 4 * minutes)
        await self.replay(held, SAFARI, HOME, 2 * hours)
        return str(laptop.family.id)
