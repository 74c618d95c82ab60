//! Notes and checkpoints: who may sign, what is refused, and where it is said to be wrong.

use residency_tlog::{
    At, Checkpoint, KeyKind, Malformed, NOTE_BYTES_MAX, Note, OpenError, SIGNATURES_MAX, SignError,
    SignatureLine, SigningKey, TEXT_BYTES_MAX, VerifierKey, Wrong,
};

use crate::support::{Log, ORIGIN, log_key, seed, signed, witness_key};

fn line(line: usize, wrong: Wrong) -> Malformed {
    Malformed { at: At::Line(line), wrong }
}

fn byte(byte: usize, wrong: Wrong) -> Malformed {
    Malformed { at: At::Byte(byte), wrong }
}

fn refused(note: &str) -> Malformed {
    Note::parse(note.as_bytes()).expect_err("not a note")
}

const SIGNATURE: &str = "\u{2014} somebody AAAAAQI=";

#[test]
fn what_is_not_a_note_is_refused_with_its_line() {
    assert!(Note::parse(format!("a\n\n{SIGNATURE}\n").as_bytes()).is_ok());
    // The text has empty lines of its own: the last one ends it.
    let note = Note::parse(format!("a\n\nb\n\n\n{SIGNATURE}\n").as_bytes()).expect("a note");
    assert_eq!(note.text(), "a\n\nb\n\n");
    for (text, why) in [
        (String::new(), line(1, Wrong::NoFinalNewline)),
        ("a".into(), line(1, Wrong::NoFinalNewline)),
        ("a\n".into(), line(2, Wrong::NoEmptyLine)),
        ("a\n\n".into(), line(3, Wrong::NoSignature)),
        (format!("a\n{SIGNATURE}\n"), line(3, Wrong::NoEmptyLine)),
        (format!("a\n\n{SIGNATURE}"), line(3, Wrong::NoFinalNewline)),
        (format!("a\n\n{SIGNATURE}\nb\n"), line(4, Wrong::SignatureLine)),
        (format!("a\n\n{SIGNATURE}\n\n"), line(5, Wrong::NoSignature)),
        ("a\n\n- somebody AAAAAQI=\n".into(), line(3, Wrong::SignatureLine)),
        ("a\n\n\u{2014} somebody\n".into(), line(3, Wrong::SignatureLine)),
        ("a\n\n\u{2014} some+body AAAAAQI=\n".into(), line(3, Wrong::KeyName)),
        ("a\n\n\u{2014} some\u{a0}body AAAAAQI=\n".into(), line(3, Wrong::KeyName)),
        ("a\n\n\u{2014}  AAAAAQI=\n".into(), line(3, Wrong::KeyName)),
        ("a\n\n\u{2014} somebody AAAAAQI\n".into(), line(3, Wrong::Base64)),
        ("a\n\n\u{2014} somebody AAAAAQJ=\n".into(), line(3, Wrong::Base64)),
        ("a\n\n\u{2014} somebody AAAAAQ==\n".into(), line(3, Wrong::SignatureLine)),
        ("a\n\n\u{2014} somebody AAA=\n".into(), line(3, Wrong::SignatureLine)),
        (format!("a\r\n\n{SIGNATURE}\n"), byte(1, Wrong::ControlCharacter)),
        (format!("a\n\n{SIGNATURE}\t\n"), byte(3 + SIGNATURE.len(), Wrong::ControlCharacter)),
        (format!("{}\n\n{SIGNATURE}\n", "a".repeat(TEXT_BYTES_MAX)), line(1, Wrong::TooLong(TEXT_BYTES_MAX))),
        ("a".repeat(NOTE_BYTES_MAX + 1), byte(NOTE_BYTES_MAX, Wrong::TooLong(NOTE_BYTES_MAX))),
    ] {
        assert_eq!(refused(&text), why, "{text:.60?}");
    }
    assert_eq!(Note::parse(b"a\n\xff\n"), Err(byte(2, Wrong::NotUtf8)));
    assert_eq!(Note::new("a".into()), Err(byte(1, Wrong::NoFinalNewline)));
    assert_eq!(Note::new("a\u{7}\n".into()), Err(byte(1, Wrong::ControlCharacter)));
}

#[test]
fn a_note_may_have_sixteen_signatures_of_strangers_and_not_any_number() {
    let key = log_key();
    let of = |strangers: usize| {
        let mut text =
            signed(&Checkpoint::new(ORIGIN, 0, residency_tlog::EMPTY_ROOT).expect("one"), &key).to_string();
        for _ in 0..strangers {
            text += SIGNATURE;
            text += "\n";
        }
        Note::parse(text.as_bytes())
    };
    let known = [key.verifier().clone()];
    for strangers in [15, SIGNATURES_MAX - 1] {
        assert_eq!(of(strangers).expect("a note").open(&known).expect("opens").len(), 1, "{strangers}");
    }
    let many = line(5 + SIGNATURES_MAX, Wrong::TooManySignatures(SIGNATURES_MAX));
    assert_eq!(of(SIGNATURES_MAX), Err(many));
    let mut full = of(0).expect("a note");
    for n in 1..SIGNATURES_MAX {
        let other = format!("\u{2014} n{n} AAAAAQI=\n");
        let [other] = &SignatureLine::parse_lines(other.as_bytes()).expect("a line")[..] else { panic!("one") };
        full.add(other.clone()).expect("there is room");
        full.add(other.clone()).expect("it takes the place of itself");
    }
    let [other] = &SignatureLine::parse_lines(format!("{SIGNATURE}\n").as_bytes()).expect("a line")[..] else {
        panic!("one")
    };
    assert_eq!(full.clone().add(other.clone()), Err(SignError::Full));
    assert_eq!(full.signatures().len(), SIGNATURES_MAX);
    assert_eq!(Note::parse(full.to_string().as_bytes()), Ok(full));
}

#[test]
fn a_line_of_a_kind_that_is_to_come_fits_and_is_ignored() {
    // As long as one of ML-DSA-44: id, time, 2,420 bytes.
    let long = format!("\u{2014} pq.example/w {}", "A".repeat(4 * 811));
    let [long] = &SignatureLine::parse_lines(format!("{long}\n").as_bytes()).expect("a line")[..] else {
        panic!("one")
    };
    let key = log_key();
    let mut note = Log::of(3).note(3, &key);
    for _ in 0..2 {
        note.add(long.clone()).expect("there is room");
    }
    assert_eq!(note.open(&[key.verifier().clone()]).expect("opens").len(), 1);
    let mut bytes = vec![0x06];
    bytes.resize(1 + 1_312, 7);
    let vkey = format!(
        "pq.example/w+{:08x}+{}",
        residency_tlog::key_id("pq.example/w", 6, &bytes[1..]),
        base64(&bytes)
    );
    assert_eq!(VerifierKey::parse(&vkey).map_err(|m| m.wrong), Err(Wrong::TooLong(1_024)));
    let short = format!(
        "pq.example/w+{:08x}+{}",
        residency_tlog::key_id("pq.example/w", 6, &bytes[1..33]),
        base64(&bytes[..33])
    );
    assert_eq!(VerifierKey::parse(&short).map_err(|m| m.wrong), Err(Wrong::KeyType));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_note_is_opened_by_a_known_key_and_refused_for_a_known_keys_bad_signature() {
    let (key, witness, log) = (log_key(), witness_key("w.example/1"), Log::of(10));
    let stranger = SigningKey::from_seed("else.example", KeyKind::Ed25519, &seed("else")).expect("a key");
    let mut note = log.note(10, &key);
    note.sign(&stranger).expect("signs");
    let cosignature = note.cosignature(&witness, 1_700_000_000).expect("cosigns");
    note.add(cosignature.clone()).expect("there is room");
    let text = note.to_string();
    assert_eq!(Note::parse(text.as_bytes()).as_ref(), Ok(&note));

    let known = [key.verifier().clone(), witness.verifier().clone()];
    let times: Vec<Option<u64>> = note.open(&known).expect("opens").iter().map(|v| v.time).collect();
    assert_eq!(times, [None, Some(1_700_000_000)]);
    assert_eq!(note.open(&known[1..]).expect("opens").len(), 1);
    assert_eq!(note.open(&[]), Err(OpenError::NotSigned));
    let other = SigningKey::from_seed(ORIGIN, KeyKind::Ed25519, &seed("another")).expect("a key");
    assert_eq!(
        note.open(&[other.verifier().clone()]),
        Err(OpenError::NotSigned),
        "the name alone is not the key"
    );

    // The text is another: each known key's signature is bad, at its line.
    let forged = Note::parse(text.replacen("\n10\n", "\n11\n", 1).as_bytes()).expect("a note");
    let bad = |line, name: &str| Err(OpenError::BadSignature { line, name: name.into() });
    assert_eq!(forged.open(&known), bad(5, ORIGIN));
    assert_eq!(forged.open(&known[1..]), bad(7, "w.example/1"));
    // One bad signature of a known key outweighs a good one of another.
    let mut half = note.clone();
    let at_another_size = log.note(9, &key).cosignature(&witness, 1_700_000_000).expect("cosigns");
    half.add(at_another_size).expect("it takes the other's place");
    assert_eq!(half.signatures().len(), 3);
    assert_eq!(half.open(&known), bad(7, "w.example/1"));
    assert_eq!(half.open(&known[..1]).expect("the witness is unknown").len(), 1);
    // The time is signed.
    let later = text.replace(&cosignature.to_string(), &shifted(&cosignature));
    assert_ne!(later, text);
    assert_eq!(Note::parse(later.as_bytes()).expect("a note").open(&known), bad(7, "w.example/1"));
    // The same line twice is one signature.
    let twice = format!("{text}{cosignature}\n");
    assert_eq!(Note::parse(twice.as_bytes()).expect("a note").open(&known).expect("opens").len(), 2);
}

/// The same signature said to be a second later.
fn shifted(line: &SignatureLine) -> String {
    let mut bytes = line.id().to_be_bytes().to_vec();
    bytes.extend_from_slice(line.bytes());
    bytes[11] += 1;
    format!("\u{2014} {} {}", line.name(), base64(&bytes))
}

#[test]
fn a_key_signs_what_it_is_for() {
    let (key, witness) = (log_key(), witness_key("w.example/1"));
    let mut note = Log::of(1).note(1, &key);
    assert_eq!(note.sign(&witness), Err(SignError::Kind));
    assert_eq!(note.cosignature(&key, 1), Err(SignError::Kind));
    assert_eq!(note.cosignature(&witness, 0), Err(SignError::Time));
    assert_eq!(note.cosignature(&witness, 1 << 63), Err(SignError::Time));
    // One pair of bytes under two kinds has two ids: a signature of one is never taken for the other's.
    let same = SigningKey::from_seed(ORIGIN, KeyKind::CosignatureV1, &seed("test seed")).expect("a key");
    assert_eq!(same.verifier().public_key(), key.verifier().public_key());
    assert_eq!(note.open(&[same.verifier().clone()]), Err(OpenError::NotSigned));
}

#[test]
fn what_is_not_a_key_is_refused() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(VerifierKey::parse(vkey).expect("a key").to_string(), vkey);
    for (text, why) in [
        ("", byte(0, Wrong::KeyText)),
        ("example.com/foo+530d903a", byte(24, Wrong::KeyText)),
        (&vkey.replace("530d903a", "530D903A"), byte(16, Wrong::KeyText)),
        (&vkey.replace("530d903a", "+30d903a"), byte(16, Wrong::KeyText)),
        (&vkey.replace("530d903a", "530d903b"), byte(16, Wrong::KeyId)),
        (&vkey.replace("foo", "bar"), byte(16, Wrong::KeyId)),
        (&vkey.replace("example.com/foo", ""), byte(0, Wrong::KeyName)),
        (&vkey.replace("foo", "f o"), byte(0, Wrong::KeyName)),
        (&vkey[..vkey.len() - 1], byte(25, Wrong::Base64)),
        (&vkey.replace("+Ae", "+Be"), byte(vkey.len(), Wrong::KeyType)),
        ("example.com/foo+530d903a+", byte(25, Wrong::KeyLength)),
        ("example.com/foo+530d903a+AQ==", byte(29, Wrong::KeyLength)),
    ] {
        assert_eq!(VerifierKey::parse(text), Err(why), "{text:?}");
    }
    assert_eq!(SigningKey::parse(vkey).expect_err("public").at, At::Byte(0));
    assert_eq!(SigningKey::parse(&format!("PRIVATE+KEY+{vkey}")).expect_err("no seed").wrong, Wrong::KeyId);
}

#[test]
fn what_is_not_a_checkpoint_is_refused_with_its_line() {
    let root = residency_tlog::EMPTY_ROOT;
    let good = format!("a.example/log\n0\n{root}\n");
    assert_eq!(Checkpoint::parse(&good).expect("one").to_string(), good);
    let extended = format!("{good}more\nand more\n");
    let checkpoint = Checkpoint::parse(&extended).expect("one");
    assert_eq!(checkpoint.extensions(), ["more", "and more"]);
    assert_eq!(checkpoint.to_string(), extended);
    for (text, why) in [
        (String::new(), line(1, Wrong::TooShort)),
        ("a".into(), line(1, Wrong::NoFinalNewline)),
        ("\n".into(), line(1, Wrong::Origin)),
        ("a\n".into(), line(2, Wrong::TooShort)),
        (format!("a\n\n{root}\n"), line(2, Wrong::Number)),
        (format!("a\n00\n{root}\n"), line(2, Wrong::Number)),
        (format!("a\n+1\n{root}\n"), line(2, Wrong::Number)),
        (format!("a\n 1\n{root}\n"), line(2, Wrong::Number)),
        (format!("a\n9223372036854775808\n{root}\n"), line(2, Wrong::TooLarge)),
        ("a\n1\n".into(), line(3, Wrong::TooShort)),
        ("a\n1\nAAAA\n".into(), line(3, Wrong::HashLength)),
        (format!("a\n1\n{root}"), line(3, Wrong::NoFinalNewline)),
        (format!("a\n1\n{root} \n"), line(3, Wrong::HashLength)),
        (format!("{good}\n"), line(4, Wrong::EmptyLine)),
        (format!("{good}more\n\nmore\n"), line(5, Wrong::EmptyLine)),
    ] {
        assert_eq!(Checkpoint::parse(&text), Err(why), "{text:?}");
    }
    for origin in ["", "two\nlines", "a\nb\n", "tab\t"] {
        assert!(Checkpoint::new(origin, 0, root).is_err(), "{origin:?}");
    }
    assert!(Checkpoint::new("a", 1 << 63, root).is_err());
}

#[test]
fn a_checkpoint_is_opened_for_its_own_log() {
    let (key, log) = (log_key(), Log::of(5));
    let note = log.note(5, &key).to_string();
    let known = [key.verifier().clone()];
    let opened = Checkpoint::open(note.as_bytes(), ORIGIN, &known).expect("opens");
    assert_eq!((opened.checkpoint.size, opened.checkpoint.root), (5, log.root(5)));
    assert_eq!(opened.note.to_string(), note);
    assert_eq!(Checkpoint::open(note.as_bytes(), "audit.example/eu", &known), Err(OpenError::Origin));
    let witnesses = [witness_key("w.example/1").verifier().clone()];
    assert_eq!(Checkpoint::open(note.as_bytes(), ORIGIN, &witnesses), Err(OpenError::NotSigned));
    assert!(matches!(Checkpoint::open(b"x\n", ORIGIN, &known), Err(OpenError::Malformed(_))));
}
