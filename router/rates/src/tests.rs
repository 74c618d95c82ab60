use governor::clock::FakeRelativeClock;

use super::*;

fn org(n: u8) -> OrgId {
    OrgId::from_bytes([n; 16])
}

fn person(n: u8) -> Caller {
    Caller::Person(org(n))
}

const HERE: &str = "/v1/regions";

/// The policy and how one stands to it, as headers say it.
fn said(standing: Standing) -> [String; 2] {
    let mut headers = http::HeaderMap::new();
    standing.tell(&mut headers);
    [RATE_LIMIT_POLICY, RATE_LIMIT].map(|name| headers[name].to_str().expect("text").to_owned())
}

/// 60 a minute, three at once.
fn one_a_second() -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let quota = Quota { per_minute: 60, burst: 3 };
    let service = Quota { per_minute: 600, burst: 30 };
    let quotas = Quotas { organisation: quota, service, address: quota, ..Quotas::NONE };
    (Rates::by(&quotas, &clock), clock)
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
fn no_minute_lets_more_through_than_its_rate_with_its_bursts() {
    let (rates, clock) = one_a_second();
    let mut passed = Vec::new();
    for tenth in 0..6_000_u32 {
        if rates.caller(person(1)).is_ok() {
            passed.push(tenth);
        }
        clock.advance(Duration::from_millis(100));
    }
    let within = |from: u32| passed.iter().filter(|when| (from..from + 600).contains(*when)).count();
    assert_eq!(passed.iter().map(|from| within(*from)).max(), Some(60));
    // The control: the rate is what is held to, less a sixtieth at most.
    assert!(passed.len() >= 590, "{}", passed.len());
}

#[test]
fn the_one_after_the_rate_of_a_minute_is_refused_with_all_that_is_said() {
    let clock = FakeRelativeClock::default();
    let quota = Quota { per_minute: 300, burst: 300 };
    let rates = Rates::by(&Quotas { organisation: quota, ..Quotas::NONE }, &clock);
    assert!((0..300).all(|_| rates.caller(person(1)).is_ok()), "the control");
    clock.advance(Duration::from_secs(59));
    let over = rates.caller(person(1)).expect_err("the 301st within 60 seconds");
    assert_eq!((over.left(), over.retry_after()), (0, 2));
    assert_eq!(
        said(over),
        [r#""organisation";q=300;w=60, "organisation-minute";q=300;w=60"#, r#""organisation-minute";r=0;t=2"#]
    );
    clock.advance(Duration::from_secs(2));
    assert!(rates.caller(person(1)).is_ok());
}

#[test]
fn what_the_burst_refuses_does_not_count_in_the_minute() {
    let clock = FakeRelativeClock::default();
    let quota = Quota { per_minute: 300, burst: 30 };
    let rates = Rates::by(&Quotas { organisation: quota, ..Quotas::NONE }, &clock);
    assert_eq!((0..1_000).filter(|_| rates.caller(person(1)).is_ok()).count(), 30);
    let mut evenly = 0;
    for _ in 0..270 {
        clock.advance(Duration::from_millis(200));
        evenly += usize::from(rates.caller(person(1)).is_ok());
    }
    assert_eq!(evenly, 270, "the rest of the minute's three hundred");
}

#[test]
fn nobody_pays_for_another() {
    let (rates, _) = one_a_second();
    while rates.caller(person(1)).is_ok() {}
    assert!(rates.caller(person(2)).is_ok(), "another organisation");
    let programs = (0..100).filter(|_| rates.caller(Caller::Service(org(1))).is_ok()).count();
    assert_eq!(programs, 30, "its own programs have a quota of their own");
    assert!(rates.address([192, 0, 2, 1].into(), HERE).is_ok());
}

#[test]
fn an_address_is_a_host_and_not_one_of_its_many_numbers() {
    let (rates, _) = one_a_second();
    let host = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
    assert_eq!((0..10).filter(|n| rates.address(host(*n), HERE).is_ok()).count(), 3, "one network of 64 bits");
    assert!(rates.address(host(1 << 64), HERE).is_ok(), "the next network");
    let v4 = |last| IpAddr::from([192, 0, 2, last]);
    assert_eq!((0..10).filter(|n| rates.address(v4(*n), HERE).is_ok()).count(), 10);
    let mapped: IpAddr = "::ffff:192.0.2.99".parse().expect("an address");
    assert_eq!((0..10).filter(|_| rates.address(mapped, HERE).is_ok()).count(), 3);
    assert!(rates.address(v4(99), HERE).is_err(), "the same host, written otherwise");
}

#[test]
fn whoever_has_the_whole_quota_back_is_forgotten() {
    let (rates, clock) = one_a_second();
    let known = |rates: &Rates<FakeRelativeClock>| rates.addresses.as_ref().map(|counted| counted.counts.len());
    for n in 0..100 {
        assert!(rates.address([192, 0, 2, n].into(), HERE).is_ok());
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
    let policy = r#""organisation";q=3;w=3, "organisation-minute";q=60;w=60"#;
    let first = rates.caller(person(1)).expect("passes").expect("is counted");
    assert_eq!(said(first), [policy, r#""organisation";r=2;t=1"#]);
    while rates.caller(person(1)).is_ok() {}
    let over = rates.caller(person(1)).expect_err("too many");
    assert_eq!(said(over), [policy, r#""organisation";r=0;t=1"#]);
}

#[test]
fn no_quota_counts_nobody_and_half_a_quota_is_none_that_works() {
    let rates = Rates::new(&Quotas::NONE);
    assert!((0..10_000).all(|_| rates.caller(person(1)) == Ok(None)));
    assert!((0..10_000).all(|_| rates.address([192, 0, 2, 1].into(), HERE).is_ok()));
    let half = Quotas { service: Quota { per_minute: 5, burst: 0 }, ..Quotas::default() };
    assert_eq!(half.check().map_err(|(key, _)| key), Err("rates.service"));
    let more = Quotas { sign_in: Quota { per_minute: 5, burst: 6 }, ..Quotas::default() };
    assert_eq!(more.check().map_err(|(key, _)| key), Err("rates.sign_in"), "no minute has room for it");
    assert_eq!(Quotas::default().check(), Ok(()));
    assert_eq!(Quotas::NONE.check(), Ok(()));
}

/// Two sign-ins at once, and one a second.
fn two_sign_ins() -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let quotas = Quotas { sign_in: Quota { per_minute: 60, burst: 2 }, ..Quotas::NONE };
    (Rates::by(&quotas, &clock), clock)
}

#[test]
fn what_lets_people_in_has_a_quota_of_its_own_by_address() {
    let (rates, clock) = two_sign_ins();
    let (flood, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    let costly = [
        "/v1/auth/login",
        "/v1/auth/invitations/accept",
        "/v1/auth/password",
        "/v1/auth/totp",
        "/v1/auth/totp/confirm",
        "/v1/auth/oidc/a-provider/start",
        "/v1/auth/oidc/a-provider/callback",
        "/v1/auth/what/comes/later",
        "/v1/portal/sign-in",
    ];
    assert!(costly[..2].iter().all(|path| rates.address(flood, path).is_ok()));
    for path in costly {
        let over = rates.address(flood, path).expect_err(path);
        assert_eq!((over.name, over.retry_after()), ("sign-in", 1), "{path}");
        assert!(rates.address(other, HERE).is_ok());
    }
    for path in [
        "/v1/auth/refresh",
        "/v1/auth/logout",
        "/v1/auth/sessions",
        "/v1/auth/sessions/a-session",
        "/v1/portal/sign-out",
        "/v1/authors",
        "/healthz",
        HERE,
    ] {
        assert!((0..10).all(|_| rates.address(flood, path).is_ok()), "{path} has no part in it");
    }
    assert!(rates.address(other, costly[0]).is_ok(), "nobody else pays for it");
    clock.advance(Duration::from_secs(1));
    assert!(rates.address(flood, costly[0]).is_ok() && rates.address(flood, costly[0]).is_err());
    let host = |n: u128| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | n));
    assert_eq!(
        (0..10).filter(|n| rates.address(host(*n), costly[0]).is_ok()).count(),
        2,
        "one network of 64 bits"
    );
    clock.advance(Duration::from_secs(61));
    rates.forget();
    assert_eq!(rates.sign_ins.as_ref().map(|(counted, _)| counted.counts.len()), Some(0));
}

#[test]
fn an_address_has_only_so_many_sign_ins_under_way() {
    let (rates, _) = two_sign_ins();
    let (flood, other, login) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]), "/v1/auth/login");
    let mut taken: Vec<_> =
        (0..SIGN_INS_AT_ONCE).map(|_| rates.turn(flood, login).expect("its turn")).collect();
    assert!(taken.iter().all(Option::is_some));
    let refused = rates.turn(flood, login).err().expect("it has as many as it may");
    assert_eq!((refused.kind(), refused.retry_after_seconds()), (ProblemKind::Overloaded, Some(1)));
    let elsewhere = rates.turn(other, login).expect("another's turn");
    assert!(elsewhere.is_some());
    assert!(rates.turn(flood, HERE).is_ok_and(|turn| turn.is_none()), "what signs nobody in waits for no turn");
    drop(elsewhere);
    drop(taken.pop());
    taken.push(rates.turn(flood, login).expect("there is room again"));
    drop(taken);
    assert!(
        rates.sign_ins.as_ref().is_some_and(|(_, at_once)| at_once.is_idle()),
        "nobody is kept who has none"
    );
}

#[test]
fn an_address_that_guesses_is_refused_for_a_while_and_no_other_is() {
    let (rates, clock) = one_a_second();
    let [guesses, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
    // A tenth of the sixty that it may ask.
    for _ in 0..6 {
        assert!(rates.stranger(guesses).is_ok(), "looking alone counts nothing");
        rates.note_stranger(guesses);
    }
    let over = rates.stranger(guesses).expect_err("as many as may be");
    assert_eq!((over.left(), over.retry_after()), (0, 61));
    assert!(rates.stranger(other).is_ok());
    clock.advance(Duration::from_secs(61));
    assert!(rates.stranger(guesses).is_ok());
    let none = Rates::by(&Quotas::NONE, &clock);
    (0..1_000).for_each(|_| none.note_stranger(guesses));
    assert!(none.stranger(guesses).is_ok());
}
