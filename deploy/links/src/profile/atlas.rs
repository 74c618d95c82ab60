//! Where places are: the capital of each state, district and territory, to a tenth of a degree.

/// ISO 3166-2, latitude and longitude in degrees.
const CAPITALS: &[(&str, f64, f64)] = &[
    ("US-AL", 32.4, -86.3),
    ("US-AK", 58.3, -134.4),
    ("US-AZ", 33.4, -112.1),
    ("US-AR", 34.7, -92.3),
    ("US-CA", 38.6, -121.5),
    ("US-CO", 39.7, -105.0),
    ("US-CT", 41.8, -72.7),
    ("US-DE", 39.2, -75.5),
    ("US-FL", 30.4, -84.3),
    ("US-GA", 33.7, -84.4),
    ("US-HI", 21.3, -157.9),
    ("US-ID", 43.6, -116.2),
    ("US-IL", 39.8, -89.7),
    ("US-IN", 39.8, -86.2),
    ("US-IA", 41.6, -93.6),
    ("US-KS", 39.0, -95.7),
    ("US-KY", 38.2, -84.9),
    ("US-LA", 30.5, -91.2),
    ("US-ME", 44.3, -69.8),
    ("US-MD", 39.0, -76.5),
    ("US-MA", 42.4, -71.1),
    ("US-MI", 42.7, -84.6),
    ("US-MN", 45.0, -93.1),
    ("US-MS", 32.3, -90.2),
    ("US-MO", 38.6, -92.2),
    ("US-MT", 46.6, -112.0),
    ("US-NE", 40.8, -96.7),
    ("US-NV", 39.2, -119.8),
    ("US-NH", 43.2, -71.5),
    ("US-NJ", 40.2, -74.8),
    ("US-NM", 35.7, -105.9),
    ("US-NY", 42.7, -73.8),
    ("US-NC", 35.8, -78.6),
    ("US-ND", 46.8, -100.8),
    ("US-OH", 40.0, -83.0),
    ("US-OK", 35.5, -97.5),
    ("US-OR", 44.9, -123.0),
    ("US-PA", 40.3, -76.9),
    ("US-RI", 41.8, -71.4),
    ("US-SC", 34.0, -81.0),
    ("US-SD", 44.4, -100.4),
    ("US-TN", 36.2, -86.8),
    ("US-TX", 30.3, -97.7),
    ("US-UT", 40.8, -111.9),
    ("US-VT", 44.3, -72.6),
    ("US-VA", 37.5, -77.4),
    ("US-WA", 47.0, -122.9),
    ("US-WV", 38.3, -81.6),
    ("US-WI", 43.1, -89.4),
    ("US-WY", 41.1, -104.8),
    ("US-DC", 38.9, -77.0),
    ("US-AS", -14.3, -170.7),
    ("US-GU", 13.5, 144.8),
    ("US-MP", 15.2, 145.7),
    ("US-PR", 18.5, -66.1),
    ("US-VI", 18.3, -64.9),
    // Its islands have no inhabitants and no capital: Midway.
    ("US-UM", 28.2, -177.4),
];

/// The mean radius of the earth (IUGG), in kilometres.
const EARTH_KM: f64 = 6_371.0;
/// For a place that is not in the list: from one coast to the other.
const UNKNOWN_KM: f64 = 4_000.0;

/// The great circle between two places, in kilometres, by the haversine formula.
pub(super) fn distance_km(from: &str, to: &str) -> f64 {
    let find = |code: &str| CAPITALS.iter().find(|(known, ..)| *known == code);
    let (Some((_, lat_a, lon_a)), Some((_, lat_b, lon_b))) = (find(from), find(to)) else {
        return UNKNOWN_KM;
    };
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let h = half(*lat_a, *lat_b) + lat_a.to_radians().cos() * lat_b.to_radians().cos() * half(*lon_a, *lon_b);
    2.0 * EARTH_KM * h.sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_globe() {
        for (from, to, km) in
            [("US-CA", "US-NY", 3_960.0), ("US-CA", "US-TX", 2_350.0), ("US-GU", "US-HI", 6_120.0)]
        {
            let found = distance_km(from, to);
            assert!((found / km - 1.0).abs() < 0.03, "{from} {to}: {found:.0} km");
            assert!((found - distance_km(to, from)).abs() < 1e-6);
        }
        assert!((distance_km("US-CA", "DE-BE") - UNKNOWN_KM).abs() < 1e-6);
    }

    #[test]
    fn no_place_is_there_twice() {
        let mut codes: Vec<&str> = CAPITALS.iter().map(|(code, ..)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CAPITALS.len());
    }
}
