"""Checks country codes against those that CodeCarbon has emission figures for."""

from __future__ import annotations

from difflib import get_close_matches

from cnngen.errors import CnnGenError


def known_country(code: str) -> str:
    """Normalise a country code to CodeCarbon's. Raises `CnnGenError` for an unknown code."""
    from codecarbon.input import DataSource

    countries = DataSource().get_global_energy_mix_data()  # type: ignore[no-untyped-call]
    if code.upper() in countries:
        return code.upper()
    names = {str(facts["country_name"]).lower(): key for key, facts in countries.items()}
    near = get_close_matches(code.lower(), names, 1)
    meant = f" Did you mean {names[near[0]]}?" if near else ""
    raise CnnGenError(
        f"no emission figure is known for the country '{code}'",
        hint=f"State three letters of ISO 3166, such as FRA or USA.{meant}",
    )
