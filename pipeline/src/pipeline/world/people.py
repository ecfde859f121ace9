"""Users: profiles with the platform's marginal distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.world.spec import FIRST_USER

Strings = npt.NDArray[np.str_]

COUNTRIES = {
    "Russia": 0.876,
    "Ukraine": 0.050,
    "Belarus": 0.020,
    "Kazakhstan": 0.019,
    "Turkey": 0.010,
    "Finland": 0.0095,
    "Azerbaijan": 0.0095,
    "Estonia": 0.001,
    "Latvia": 0.001,
    "Cyprus": 0.002,
    "Switzerland": 0.002,
}
BIG_CITIES = {
    "Moscow": 0.1340,
    "Saint Petersburg": 0.0423,
    "Novosibirsk": 0.0122,
    "Yekaterinburg": 0.0115,
    "Kazan": 0.0095,
}
OTHER_CITIES = {
    "Ukraine": ["Kyiv", "Kharkiv", "Odesa", "Dnipro", "Lviv"],
    "Belarus": ["Minsk", "Gomel", "Brest"],
    "Kazakhstan": ["Almaty", "Astana", "Karaganda"],
    "Turkey": ["Istanbul", "Ankara", "Izmir"],
    "Finland": ["Helsinki", "Espoo", "Tampere"],
    "Azerbaijan": ["Baku", "Ganja"],
    "Estonia": ["Tallinn", "Tartu"],
    "Latvia": ["Riga"],
    "Cyprus": ["Limassol", "Nicosia"],
    "Switzerland": ["Zurich", "Geneva"],
}
_STEMS = [
    "Kamensk",
    "Ural",
    "Volzh",
    "Zelen",
    "Krasno",
    "Belo",
    "Staro",
    "Serge",
    "Dmitro",
    "Pavlo",
    "Petro",
    "Ivano",
    "Niko",
    "Aleksei",
    "Gri",
    "Chaikov",
    "Rybin",
    "Kostro",
    "Sol",
    "Lys",
    "Berez",
    "Kirov",
    "Uglich",
    "Tikhvin",
    "Borov",
    "Kline",
    "Zvezd",
    "Murom",
    "Shakht",
    "Azov",
    "Orlov",
    "Tul",
    "Tver",
    "Penz",
    "Samar",
    "Irkut",
    "Omut",
]
_ENDS = ("sk", "grad", "insk", "ovo", "evsk", "ino", "ogorsk", "yansk", "opol", "burg", "skoye", "ets")
SMALL_CITIES = [f"{stem}{end}" for end in _ENDS for stem in _STEMS]


@dataclass(frozen=True)
class Profiles:
    """Shape (users,) each."""

    user_id: npt.NDArray[np.int64]
    age: npt.NDArray[np.int64]
    gender: npt.NDArray[np.int64]
    country: Strings
    city: Strings
    exp_group: npt.NDArray[np.int64]
    os: Strings
    source: Strings

    @property
    def in_big_city(self) -> npt.NDArray[np.bool_]:
        return np.isin(self.city, list(BIG_CITIES))

    def __len__(self) -> int:
        return len(self.user_id)


def make_people(users: int, rng: np.random.Generator) -> Profiles:
    country = rng.choice(list(COUNTRIES), users, p=np.array(list(COUNTRIES.values())) / sum(COUNTRIES.values()))
    return Profiles(
        user_id=np.arange(FIRST_USER, FIRST_USER + users),
        age=np.minimum(14 + rng.gamma(1.35, 9.7, users), 95).astype(np.int64),
        gender=(rng.random(users) < 0.55).astype(np.int64),
        country=country,
        city=_cities(country, rng),
        exp_group=rng.integers(0, 5, users),
        os=np.where(rng.random(users) < 0.65, "Android", "iOS"),
        source=np.where(rng.random(users) < 0.62, "ads", "organic"),
    )


def _cities(country: Strings, rng: np.random.Generator) -> Strings:
    """Big cities by their share, then a long tail."""
    tail = 1.0 / np.arange(3, len(SMALL_CITIES) + 3) ** 0.8
    big = np.array(list(BIG_CITIES.values())) / COUNTRIES["Russia"]
    shares = np.append(big, tail / tail.sum() * (1 - big.sum()))
    city = rng.choice([*BIG_CITIES, *SMALL_CITIES], len(country), p=shares).astype("U40")
    for name, places in OTHER_CITIES.items():
        here = country == name
        city[here] = rng.choice(places, int(here.sum()))
    return city
