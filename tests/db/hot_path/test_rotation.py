"""The claim of a rotation names one user, one family and one token. No row changes if one of the three is another's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auth.outcomes import ClientInfo, SignedIn
from auth.services import Services
from db.hot_path.rotation import RotationClaim
from db.tables.families import FamilyRow
from db.tables.users import UserRow
from tests.support.clocks import FakeClock


async def open_family(services: Services, user: UserRow, clock: FakeClock) -> FamilyRow:
    opened = await services.sign_in.open_session(user, None, ClientInfo(), clock.now())
    assert isinstance(opened, SignedIn)
    return opened.family


@pytest.mark.parametrize("more_settings", [{"batch_rotations": True}, {"batch_rotations": False}], ids=["on", "off"])
async def test_rot_01_a_claim_about_the_user_the_family_or_the_token_of_another_changes_no_row(
    services: Services, alice: UserRow, bob: UserRow, clock: FakeClock
) -> None:
    family, same_user, other_user = [await open_family(services, user, clock) for user in (alice, alice, bob)]
    claim = RotationClaim(
        user_id=alice.id,
        family_id=family.id,
        presented=family.token_digest,
        successor=b"s" * 32,
        now=clock.now(),
        idle_limit=clock.now() + timedelta(days=1),
        ip=None,
        user_agent=None,
    )
    for false in (
        replace(claim, user_id=bob.id),
        replace(claim, family_id=same_user.id),
        replace(claim, user_id=bob.id, family_id=other_user.id),
        replace(claim, presented=same_user.token_digest),
        replace(claim, presented=b"p" * 32),
    ):
        assert await services.rotation.batcher.rotate(false) is None
    rotated = await services.rotation.batcher.rotate(claim)
    assert rotated is not None
    assert (rotated.id, rotated.token_digest, rotated.generation) == (family.id, claim.successor, 2)
    for unchanged in (same_user, other_user):
        assert await services.sessions.get_many(unchanged.user_id, [unchanged.id]) == {unchanged.id: unchanged}
