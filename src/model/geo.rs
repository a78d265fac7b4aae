//! The place on earth of a node, an outside server or a listener, as far as it is known.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The mean radius of the earth, kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6_371.0;

/// A country by its ISO 3166-1 alpha-2 code, such as `de`; two letters, kept in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

/// Why a text is not a country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid country {0:?}: write two letters, such as de")]
pub struct BadCountry(pub String);

impl FromStr for Country {
    type Err = BadCountry;

    fn from_str(text: &str) -> Result<Self, BadCountry> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_lowercase(), b.to_ascii_lowercase()]))
            }
            _ => Err(BadCountry(text.chars().take(16).collect())),
        }
    }
}

impl TryFrom<String> for Country {
    type Error = BadCountry;

    fn try_from(text: String) -> Result<Self, BadCountry> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.to_string()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.0.map(char::from);
        write!(f, "{a}{b}")
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The countries in which a mount may be heard, written `de,at` for only these or `!us,!cn` for all but these; an empty
/// text means everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CountryRule {
    /// No country is refused.
    #[default]
    Everywhere,
    /// Only these countries.
    Only(BTreeSet<Country>),
    /// All countries but these.
    Except(BTreeSet<Country>),
}

/// Why a text is not a rule on countries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCountryRule {
    /// One of the words is not a country.
    #[error(transparent)]
    Country(#[from] BadCountry),
    /// Some countries are admitted and others refused.
    #[error(
        "mixed rule: write either the admitted countries, as de,at, or the refused ones, as !us,!cn"
    )]
    Mixed,
}

impl CountryRule {
    /// Whether a listener in this country may listen. An unknown country is admitted: a missing database keeps no
    /// listener out.
    pub fn admits(&self, country: Option<Country>) -> bool {
        match (self, country) {
            (Self::Everywhere, _) | (_, None) => true,
            (Self::Only(named), Some(country)) => named.contains(&country),
            (Self::Except(named), Some(country)) => !named.contains(&country),
        }
    }
}

impl FromStr for CountryRule {
    type Err = BadCountryRule;

    fn from_str(text: &str) -> Result<Self, BadCountryRule> {
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let (mut only, mut except) = (BTreeSet::new(), BTreeSet::new());
        for word in words {
            match word.strip_prefix('!') {
                Some(refused) => except.insert(refused.parse()?),
                None => only.insert(word.parse()?),
            };
        }
        match (only.is_empty(), except.is_empty()) {
            (true, true) => Ok(Self::Everywhere),
            (false, true) => Ok(Self::Only(only)),
            (true, false) => Ok(Self::Except(except)),
            (false, false) => Err(BadCountryRule::Mixed),
        }
    }
}

impl TryFrom<String> for CountryRule {
    type Error = BadCountryRule;

    fn try_from(text: String) -> Result<Self, BadCountryRule> {
        text.parse()
    }
}

impl From<CountryRule> for String {
    fn from(rule: CountryRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for CountryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, named) = match self {
            Self::Everywhere => return Ok(()),
            Self::Only(named) => ("", named),
            Self::Except(named) => ("!", named),
        };
        for (at, country) in named.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{sign}{country}")?;
        }
        Ok(())
    }
}

/// A point on earth, written `52.52,13.40`: latitude, then longitude, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    latitude_deg: f64,
    longitude_deg: f64,
}

/// Why a text or two numbers are not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a position is latitude (-90 to 90) and longitude (-180 to 180) in degrees, such as 52.52,13.40"
)]
pub struct BadPosition;

impl Position {
    /// The point with these degrees, north and east positive.
    pub fn new(latitude_deg: f64, longitude_deg: f64) -> Result<Self, BadPosition> {
        let on_earth =
            (-90.0..=90.0).contains(&latitude_deg) && (-180.0..=180.0).contains(&longitude_deg);
        on_earth
            .then_some(Self {
                latitude_deg,
                longitude_deg,
            })
            .ok_or(BadPosition)
    }

    /// The great-circle distance in kilometres, by the haversine formula; its error is 0.5 % at most, as the earth is
    /// no sphere.
    pub fn distance_km(&self, other: &Self) -> f64 {
        let [own, theirs] = [self, other].map(|it| it.latitude_deg.to_radians());
        let north = (theirs - own) / 2.0;
        let east = (other.longitude_deg - self.longitude_deg).to_radians() / 2.0;
        let chord = north.sin().powi(2) + own.cos() * theirs.cos() * east.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * chord.min(1.0).sqrt().asin()
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let (latitude, longitude) = text.split_once(',').ok_or(BadPosition)?;
        let degrees = |text: &str| text.trim().parse::<f64>().map_err(|_| BadPosition);
        Self::new(degrees(latitude)?, degrees(longitude)?)
    }
}

impl TryFrom<String> for Position {
    type Error = BadPosition;

    fn try_from(text: String) -> Result<Self, BadPosition> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.latitude_deg, self.longitude_deg)
    }
}

/// A place as far as it is known. Unknown fields have no effect on the choice of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!("DE".parse::<Country>().unwrap().to_string(), "de");
        for bad in ["", "d", "deu", "d1", "é"] {
            assert!(bad.parse::<Country>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rule_names_some_countries_or_all_but_some() {
        let [de, us] = ["de", "us"].map(|text| text.parse::<Country>().ok());
        for (text, admits_de, admits_us, shown) in [
            ("", true, true, ""),
            ("AT, de", true, false, "at,de"),
            ("!us,!cn", true, false, "!cn,!us"),
        ] {
            let rule: CountryRule = text.parse().unwrap();
            assert_eq!((rule.admits(de), rule.admits(us)), (admits_de, admits_us));
            assert!(rule.admits(None), "{text}");
            assert_eq!(rule.to_string(), shown);
        }
        assert_eq!("de,!us".parse::<CountryRule>(), Err(BadCountryRule::Mixed));
        assert!("germany".parse::<CountryRule>().is_err());
    }

    #[test]
    fn a_position_is_two_numbers_on_earth() {
        let berlin: Position = "52.52, 13.40".parse().unwrap();
        assert_eq!(berlin.to_string(), "52.52,13.4");
        for bad in ["", "52", "91,0", "0,181", "nan,0", "a,b", "1,2,3"] {
            assert!(bad.parse::<Position>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn distances_are_those_of_an_atlas() {
        let [berlin, paris, sydney] = ["52.52,13.40", "48.86,2.35", "-33.87,151.21"]
            .map(|text| text.parse::<Position>().unwrap());
        assert!((berlin.distance_km(&paris) - 878.0).abs() < 5.0);
        assert!((berlin.distance_km(&sydney) - 16_090.0).abs() < 80.0);
        assert_eq!(berlin.distance_km(&berlin), 0.0);
    }
}
