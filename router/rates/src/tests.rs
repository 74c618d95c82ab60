use governor::clock::FakeRelativeClock;

use super::*;

fn org(n: u8) -> OrgId {
    OrgId::from_bytes([n; 16])
}

fn person(n: u8) -> Caller {
    Caller::Person(org(n))
}

/// 60 a minute, three at once.
fn one_a_second() -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let quota = Quota { per_minute: 60, burst: 3 };
    let service = Quota { per_minute: 600, burst: 30 };
    (Rates::by(&Quotas { organisation: quota, service, address: quota }, &clock), clock)
}

#[test]
fn a_burst_passes_and_then_one_for_each_that_time_gives_back() {
    let (rates, clock) = one_a_second();
    for left in [2, 1, 0] {
        assert_eq!(rates.caller(person(1)).map(|s| s.map(|s| s.left())), Ok(Some(left)));
    }
    let over = rates.caller(person(1)).expect_err("the burst is gone");
    assert_eq!((over.left(), over.retry_after()), (0, 1));
    clock.advance(Duration::from_millis(999));
    assert!(rates.caller(person(1)).is_err(), "not a second yet");
    clock.advance(Duration::from_millis(1));
    assert!(rates.caller(person(1)).is_ok());
    assert!(rates.caller(person(1)).is_err(), "one came back, and not two");
    clock.advance(Duration::from_mins(10));
    let again = (0..10).filter(|_| rates.caller(person(1)).is_ok()).count();
    assert_eq!(again, 3, "rest gives back no more than the burst");
}

#[test]
fn no_minute_lets_more_through_than_its_rate_and_one_burst() {
    let (rates, clock) = one_a_second();
    let mut passed = 0;
    for _ in 0..600 {
        passed += usize::from(rates.caller(person(1)).is_ok());
        clock.advance(Duration::from_millis(100));
    }
    assert_eq!(passed, 60 + 2);
}

#[test]
fn nobody_pays_for_another() {
    let (rates, _) = one_a_second();
    while rates.caller(person(1)).is_ok() {}
    assert!(rates.caller(person(2)).is_ok(), "another organisation");
    let programs = (0..100).filter(|_| rates.caller(Caller::Service(org(1))).is_ok()).count();
    assert_eq!(programs, 30, "its own programs have a quota of their own");
    assert!(rates.address([192, 0, 2, 1].into()).is_ok());
}

#[test]
fn an_address_is_a_host_and_not_one_of_its_many_numbers() {
    let (rates, _) = one_a_second();
    let host = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
    assert_eq!((0..10).filter(|n| rates.address(host(*n)).is_ok()).count(), 3, "one network of 64 bits");
    assert!(rates.address(host(1 << 64)).is_ok(), "the next network");
    let v4 = |last| IpAddr::from([192, 0, 2, last]);
    assert_eq!((0..10).filter(|n| rates.address(v4(*n)).is_ok()).count(), 10);
    let mapped: IpAddr = "::ffff:192.0.2.99".parse().expect("an address");
    assert_eq!((0..10).filter(|_| rates.address(mapped).is_ok()).count(), 3);
    assert!(rates.address(v4(99)).is_err(), "the same host, written otherwise");
}

#[test]
fn whoever_has_the_whole_quota_back_is_forgotten() {
    let (rates, clock) = one_a_second();
    let known = |rates: &Rates<FakeRelativeClock>| rates.addresses.as_ref().map(|counted| counted.counts.len());
    for n in 0..100 {
        assert!(rates.address([192, 0, 2, n].into()).is_ok());
    }
    rates.forget();
    assert_eq!(known(&rates), Some(100), "the control: they are all counted");
    clock.advance(Duration::from_secs(3));
    rates.forget();
    assert_eq!(known(&rates), Some(0));
}

#[test]
fn what_is_left_is_said_as_the_draft_says() {
    let (rates, _) = one_a_second();
    let said = |standing: Standing| {
        let mut headers = http::HeaderMap::new();
        standing.tell(&mut headers);
        [RATE_LIMIT_POLICY, RATE_LIMIT].map(|name| headers[name].to_str().expect("text").to_owned())
    };
    let first = rates.caller(person(1)).expect("passes").expect("is counted");
    assert_eq!(said(first), [r#""organisation";q=3;w=3"#, r#""organisation";r=2;t=1"#]);
    while rates.caller(person(1)).is_ok() {}
    let over = rates.caller(person(1)).expect_err("too many");
    assert_eq!(said(over), [r#""organisation";q=3;w=3"#, r#""organisation";r=0;t=1"#]);
}

#[test]
fn no_quota_counts_nobody_and_half_a_quota_is_none_that_works() {
    let rates = Rates::new(&Quotas::NONE);
    assert!((0..10_000).all(|_| rates.caller(person(1)) == Ok(None)));
    assert!((0..10_000).all(|_| rates.address([192, 0, 2, 1].into()).is_ok()));
    let half = Quotas { service: Quota { per_minute: 5, burst: 0 }, ..Quotas::default() };
    assert_eq!(half.check().map_err(|(key, _)| key), Err("rates.service"));
    assert_eq!(Quotas::default().check(), Ok(()));
    assert_eq!(Quotas::NONE.check(), Ok(()));
}
