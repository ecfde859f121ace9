"""What posts talk about: the platform's topics, their words, and each one's sub-themes with words of their own."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    share: int
    """Posts of it among the platform's 7,023."""
    exposure: float
    """How much more often it is shown than its share of posts says."""
    age_lean: float
    """Positive: the older like it more."""
    words: list[str]
    themes: dict[str, list[str]]


def _words(text: str) -> list[str]:
    return text.split()


def _topic(share: int, exposure: float, age_lean: float, words: str, **themes: str) -> Topic:
    return Topic(share, exposure, age_lean, _words(words), {name: _words(text) for name, text in themes.items()})


TOPICS: dict[str, Topic] = {
    "movie": _topic(
        3000,
        1.0,
        0.5,
        "film scene director actor audience camera story cinema script premiere role ticket sequel screen plot critic",
        horror="ghost cellar scream nightmare vampire shadow curse "
        "graveyard monster blood attic whisper haunting knife",
        romance="kiss wedding heartbreak lovers letter bouquet "
        "dance jealousy proposal sunset reunion tears promise bride",
        crime="detective heist robbery gangster evidence suspect "
        "murder alibi police warehouse ransom informant verdict gun",
        space="starship galaxy astronaut planet alien orbit robot "
        "wormhole colony laser gravity captain asteroid signal",
        family="grandfather childhood puppy kitchen birthday siblings "
        "farm schoolyard lullaby neighbour holiday snowman toys hug",
        war="soldier trench general battlefield uniform bomber "
        "retreat medic comrade bunker surrender convoy frontline flag",
    ),
    "covid": _topic(
        1799,
        1.0,
        0.1,
        "pandemic virus infection cases hospital doctor health "
        "outbreak patients wave symptoms spread immunity risk variant",
        vaccine="dose booster clinic needle trial antibody appointment "
        "certificate pfizer sputnik injection efficacy nurse vial",
        lockdown="curfew quarantine border restriction permit fence "
        "closure street silence balcony isolation fine exit zone",
        remote="laptop headset meeting homework webcam teacher classroom "
        "deadline sofa microphone timetable pupils login bandwidth",
        masks="mask gloves distance sanitizer queue supermarket "
        "tram sticker visor soap fabric filter cashier thermometer",
        travel="passport airport flight hotel tourist visa beach cruise refund luggage test voucher island terminal",
        recovery="lungs oxygen breathing taste fatigue rehabilitation "
        "ventilator therapy ward fever cough sleep memory walk",
    ),
    "business": _topic(
        510,
        1.0,
        0.6,
        "market company profit shares investor price sales economy growth quarter bank budget analyst deal demand",
        oil="crude barrel pipeline refinery gas drilling opec tanker petrol reserves platform well fuel export",
        startup="founder pitch seed incubator unicorn app prototype valuation mentor garage users pivot launch angel",
        cars="factory engine sedan dealership battery truck "
        "assembly steel brakes showroom recall chassis hybrid garage",
        retail="store discount shopper mall basket warehouse brand "
        "shelf delivery coupon checkout fashion season loyalty",
        currency="rouble dollar euro exchange inflation interest bond deficit reserve lender mortgage credit debt loan",
        labour="union strike wages overtime pension contract layoff workers manager hiring office payroll bonus shift",
    ),
    "sport": _topic(
        510,
        2.0,
        -0.6,
        "team match season coach fans victory league player defeat stadium training champion final score record",
        football="goalkeeper penalty striker midfield corner "
        "offside header derby cup transfer referee pitch dribble net",
        hockey="puck rink goalie skates overtime faceoff stick slapshot ice helmet powerplay blueline bench arena",
        tennis="racket serve backhand court volley tiebreak umpire ace clay wimbledon rally baseline deuce doubles",
        athletics="sprinter marathon hurdles relay javelin stopwatch "
        "lane medal jump podium lap baton steeplechase stadium",
        rugby="scrum tackle lineout fullback try ruck maul winger conversion flanker prop hooker kickoff turnover",
        chess="opening gambit bishop grandmaster endgame pawn checkmate queen rook clock blitz knight castling rating",
    ),
    "politics": _topic(
        417,
        2.0,
        -0.5,
        "government party minister vote parliament law campaign "
        "leader opposition policy debate reform speech voters state",
        election="ballot poll candidate turnout constituency manifesto "
        "coalition recount landslide marginal swing booth seat tally",
        tax="budget treasury chancellor levy spending income surplus "
        "cuts allowance rates duty borrowing threshold relief",
        security="terror police border asylum intelligence surveillance "
        "extradition detention passport bomb judge prison warrant threat",
        europe="brussels treaty constitution referendum commission veto "
        "summit union accession subsidy federal commissioner eu strasbourg",
        schools="pupils teachers curriculum exams university tuition "
        "classroom truancy nursery literacy headteacher degree grants lessons",
        hospitals="nurses waiting surgery wards trust beds dentist "
        "prescription ambulance midwife care clinics consultants patients",
    ),
    "tech": _topic(
        401,
        1.0,
        -0.2,
        "software computer users device internet data digital system "
        "program network online technology website screen code",
        phones="handset camera battery ringtone antenna roaming "
        "text touchscreen operator sim charger ringback speaker dial",
        games="console joystick level quest multiplayer graphics "
        "avatar arcade controller dungeon puzzle nintendo score player",
        safety="hacker password virus spam phishing firewall patch "
        "worm encryption fraud spyware trojan breach backdoor",
        music="download playlist ipod headphones piracy track "
        "stream album mp3 podcast studio copyright playback earbuds",
        science="satellite telescope nasa laboratory gene robot "
        "experiment laser microscope probe quantum particle sensor fusion",
        work="spreadsheet browser email server upgrade printer "
        "database desktop licence cloud backup keyboard linux office",
    ),
    "entertainment": _topic(
        386,
        1.0,
        0.5,
        "star show award fans singer stage album festival audience television celebrity tour concert prize host",
        pop="chart single chorus vocals band remix guitar drummer lyrics microphone encore debut tour hit",
        oscars="nomination red carpet academy statuette envelope "
        "gown ceremony tuxedo jury applause shortlist oscar winner",
        theatre="curtain playwright musical rehearsal orchestra ballet "
        "broadway costume understudy matinee opera balcony aria tragedy",
        series="episode soap cliffhanger sitcom finale channel "
        "viewers reality spinoff broadcaster remote ratings pilot cast",
        books="novel author publisher chapter bestseller memoir poetry "
        "library manuscript paperback thriller reader fiction shelf",
        comedy="joke standup sketch laughter punchline parody improv satire heckler clown prank wit mimic cabaret",
    ),
}

OPENINGS = ("Today", "Tonight", "Again", "Lately", "Still", "Always")
COMMON = _words(
    "people time days friends home summer morning coffee news questions money weather trouble luck noise plans stories "
    "memories weekends mistakes answers promises habits tickets"
)
SENTENCES = (
    "{S}, {s}, {s} and {s}: such {t}, {t}, {t}!",
    "{T}, {t}, {s}, {s} and {s}: I like them all.",
    "{S} or {s}? {T} or {t}? {S}!",
    "{T} with {s}, {s} and {s}, {t} without {s}.",
    "More {s}, {s} and {s}, less {t}, less {t}.",
    "{T} and {t}, {s} and {s}, {s} and {s}.",
    "My {t}: {s}, {s}, {s} and {t}.",
    "From {s} to {s}, {t} to {t}, then {s}.",
    "{T}, {t} and {t}: {s}, {s}, {s} and {s}.",
    "Remember {t}? {S}, {s}, {s}, {t} and {s}!",
    "No {t} without {s}, {s}, {s}, {s} or {t}.",
    "{T}, {t}, still {s}, {s}, {s} and {s}.",
    "{o}: {s}, {s}, {s} and {s}, with {t} and {t}.",
    "First {t}, then {s}, {s}, {s}, at last {t}.",
)
"""{s}: a word of a sub-theme; {t}: of the topic; {o}: an opening. No articles: any noun fits."""
