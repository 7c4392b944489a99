"""The teams of the sample API's games: real names, so that tables look as they will. All else of a game is made up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Team:
    """A college's team, and where it plays at home: an arena and its city, and the same of a football stadium, where
    they are known here."""

    college: str
    mascot: str
    abbreviation: str
    arena: tuple[str, str] | None = None
    stadium: tuple[str, str] | None = None
    plays_football: bool = True

    @property
    def name(self) -> str:
        return f"{self.college} {self.mascot}"


# A day's games are drawn by place in this list: neither its order nor its length may change.
TEAMS = [
    Team("Duke", "Blue Devils", "DUKE", ("Cameron Indoor Stadium", "Durham"), ("Wallace Wade Stadium", "Durham")),
    Team("North Carolina", "Tar Heels", "UNC", ("Dean E. Smith Center", "Chapel Hill")),
    Team("Houston", "Cougars", "HOU", ("Fertitta Center", "Houston")),
    Team("Baylor", "Bears", "BAY", stadium=("McLane Stadium", "Waco")),
    Team("Auburn", "Tigers", "AUB", ("Neville Arena", "Auburn"), ("Jordan-Hare Stadium", "Auburn")),
    Team("Alabama", "Crimson Tide", "ALA", ("Coleman Coliseum", "Tuscaloosa"), ("Bryant-Denny Stadium", "Tuscaloosa")),
    Team("Florida", "Gators", "FLA", stadium=("Ben Hill Griffin Stadium", "Gainesville")),
    Team("Ole Miss", "Rebels", "MISS"),
    Team("Purdue", "Boilermakers", "PUR", ("Mackey Arena", "West Lafayette")),
    Team("Illinois", "Fighting Illini", "ILL"),
    Team("Gonzaga", "Bulldogs", "GONZ", ("McCarthey Athletic Center", "Spokane"), plays_football=False),
    Team("Saint Mary's", "Gaels", "SMC", plays_football=False),
    Team("UConn", "Huskies", "CONN", ("Gampel Pavilion", "Storrs")),
    Team("Seton Hall", "Pirates", "HALL", plays_football=False),
    Team("Kansas", "Jayhawks", "KU", ("Allen Fieldhouse", "Lawrence")),
    Team("Arizona", "Wildcats", "ARIZ", ("McKale Center", "Tucson"), ("Arizona Stadium", "Tucson")),
    Team("Michigan State", "Spartans", "MSU", stadium=("Spartan Stadium", "East Lansing")),
    Team("Michigan", "Wolverines", "MICH", ("Crisler Center", "Ann Arbor"), ("Michigan Stadium", "Ann Arbor")),
    Team("Texas Tech", "Red Raiders", "TTU"),
    Team("Arizona State", "Sun Devils", "ASU"),
    Team("St. John's", "Red Storm", "SJU", ("Carnesecca Arena", "Queens"), plays_football=False),
    Team("Marquette", "Golden Eagles", "MARQ", ("Fiserv Forum", "Milwaukee"), plays_football=False),
    Team("Wisconsin", "Badgers", "WIS", ("Kohl Center", "Madison"), ("Camp Randall Stadium", "Madison")),
    Team("Penn State", "Nittany Lions", "PSU", stadium=("Beaver Stadium", "State College")),
    Team("Tennessee", "Volunteers", "TENN", stadium=("Neyland Stadium", "Knoxville")),
    Team("Kentucky", "Wildcats", "UK", ("Rupp Arena", "Lexington")),
    Team("San José State", "Spartans", "SJSU"),
    Team("Hawaiʻi", "Rainbow Warriors", "HAW"),
]
