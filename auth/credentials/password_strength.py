"""Password strength: an estimate of the attempts that an attacker needs, and why a password is refused."""

from dataclasses import dataclass

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

# A password that zxcvbn expects to fall within fewer attempts is too weak. Eight random characters have just this many.
_MIN_ATTEMPTS = 10**8
# The number of attempts from which a password has strength 1, 2, 3 and 4. It is accepted from 2 on.
_STRENGTHS = (10**4, _MIN_ATTEMPTS, 10**10, 10**12)
# zxcvbn refuses longer text, and its time grows faster than linearly. 72 characters suffice for an estimate.
_MAX_SCORED_CHARACTERS = 72
# zxcvbn tries all combinations of the letters that signs may stand for. That takes 0.2 s for ten different signs (there
# are as many digits) and 4 s for twenty.
_MAX_SCORED_LOOK_ALIKES = 10
_LOOK_ALIKES = frozenset(sign for signs in L33T_TABLE.values() for sign in signs)


@dataclass(frozen=True, slots=True)
class PasswordStrength:
    """The strength of a password, 0 to 4. Below 2, `weakness` says in a sentence why it is refused."""

    strength: int
    weakness: str | None = None


def check_strength(password: str, *, at_least: int, known: tuple[str, ...]) -> PasswordStrength:
    """Estimate the strength of a normalized password (ASVS 6.2.1, 6.2.4).

    `known` are words that an attacker tries first, such as the username.
    """
    if len(password) < at_least:
        return PasswordStrength(0, f"The password must have at least {at_least} characters.")
    estimate = zxcvbn(scored_prefix(password), user_inputs=["kindred", *known])
    strength = sum(estimate["guesses"] >= attempts for attempts in _STRENGTHS)
    if estimate["guesses"] >= _MIN_ATTEMPTS:
        return PasswordStrength(strength)
    advice = estimate["feedback"]["warning"] or "An attacker would find it in a short time."
    return PasswordStrength(strength, f"The password is too easy to guess. {advice}")


def scored_prefix(password: str) -> str:
    """Return the part of a password that is scored. The whole password is at least as strong."""
    signs = set()
    for position, character in enumerate(password[:_MAX_SCORED_CHARACTERS]):
        if character in _LOOK_ALIKES:
            signs.add(character)
            if len(signs) > _MAX_SCORED_LOOK_ALIKES:
                return password[:position]
    return password[:_MAX_SCORED_CHARACTERS]
