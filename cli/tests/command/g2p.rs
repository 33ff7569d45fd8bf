//! `wgru g2p`: its output, its files and its refusals.

use std::fs;

use serde_json::Value;

use crate::common::{Folder, model, stderr, stdout};

const CPU: [&str; 2] = ["--device", "cpu"];

#[track_caller]
fn done(folder: &Folder, args: &[&str]) -> String {
    let output = folder.wgru(&[&["g2p"], args, &CPU].concat());
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn words_are_pronounced_as_in_the_dictionary() {
    let folder = Folder::new("g2p-words");
    // One is a common word; the other is of the held-out part.
    assert_eq!(done(&folder, &["world", "knight"]), "world W ER1 L D\nknight N AY1 T\n");
    let beam = done(&folder, &["world", "knight", "--beam", "5"]);
    assert!(beam.starts_with("world W ER1 L D\n"), "{beam}");
    // A file, also with the line ends of Windows, gives what the words give.
    for (text, name) in [("world\nknight\n", "unix"), ("world\r\nknight", "windows")] {
        folder.write(name, text);
        assert_eq!(done(&folder, &["--file", name]), "world W ER1 L D\nknight N AY1 T\n");
    }
    assert_eq!(done(&folder, &["--file", "unix", "--output", "out"]), "");
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "world W ER1 L D\nknight N AY1 T\n");
}

#[test]
fn json_has_phonemes_and_probabilities() {
    let folder = Folder::new("g2p-json");
    let json: Value = serde_json::from_str(&done(&folder, &["world", "--json"])).unwrap();
    assert_eq!((json["words"].as_u64(), json["beam"].as_u64()), (Some(1), Some(1)));
    let one = &json["pronunciations"][0];
    assert_eq!(one["word"], "world");
    assert_eq!(one["phonemes"], serde_json::json!(["W", "ER1", "L", "D"]));
    assert_eq!(one["complete"], true);
    assert!((-1.0..0.0).contains(&one["log_probability"].as_f64().unwrap()));
}

#[test]
fn errors_are_counted_on_the_held_out_words_of_a_dictionary() {
    let folder = Folder::new("g2p-evaluate");
    // World is a word of training. Of knight any listed pronunciation is right, of able none here.
    let dictionary =
        "world N OW1\nknight N OW1\nknight(2) N AY1 T # as night\nable B AO1 L\nu.s. Y UW1 EH1 S\n";
    folder.write("small.dict", dictionary);
    let json: Value = serde_json::from_str(&done(&folder, &["--evaluate", "small.dict", "--json"])).unwrap();
    assert_eq!((json["words"].as_u64(), json["left_out"].as_u64()), (Some(2), Some(1)));
    assert_eq!(json["wer"].as_f64(), Some(50.0));
    assert!(json["per"].as_f64().unwrap() > 0.0);
    let text = done(&folder, &["--evaluate", "small.dict"]);
    for part in
        ["2 words held out of training, greedy", "other characters than letters: 1 line", "WER %", "50.00"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[track_caller]
fn refused(folder: &Folder, args: &[&str], words: &[&str]) {
    let before = folder.names();
    let output = folder.wgru(&[&["g2p"], args].concat());
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: \"{word}\" in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(stdout(&output), "", "{args:?}");
    assert_eq!(folder.names(), before, "{args:?} left a file behind");
}

#[test]
fn bad_input_is_refused_by_name_and_leaves_no_output() {
    let folder = Folder::new("g2p-refused");
    refused(&folder, &[], &["required"]);
    refused(&folder, &["word", "--file", "words"], &["cannot be used with"]);
    refused(&folder, &["fine", "r2d2"], &["\"r2d2\": '2' is not a letter of this model"]);
    refused(&folder, &["слово", "--output", "out"], &["'с' is not a letter of this model"]);
    refused(&folder, &["word", "--beam", "0"], &["a beam of 0 hypotheses: expected 1 to 64"]);
    refused(&folder, &["word", "--device", "no such"], &["no such"]);
    folder.write("empty", "").write("blank", "one\n\ntwo\n").write("digits", "one\ntw0\n");
    folder.write("bytes", [b'a', 0xff]).write("small", "hi HH AY1\nthere\n").write("other", "hi X\n");
    refused(&folder, &["--file", "empty", "--output", "out"], &["empty: the file is empty"]);
    refused(&folder, &["--file", "blank", "--output", "out"], &["blank: line 2, \"\": it has no letters"]);
    refused(
        &folder,
        &["--file", "digits", "--output", "out"],
        &["digits: line 2, \"tw0\": '0' is not a letter"],
    );
    refused(&folder, &["--file", "bytes", "--output", "out"], &["bytes: not UTF-8 text"]);
    refused(&folder, &["--file", "absent", "--output", "out"], &["absent", "os error 2"]);
    refused(&folder, &["--file", "blank", "--output", "blank"], &["is the same file as"]);
    refused(&folder, &["--evaluate", "small"], &["small: line 2: \"there\" has no phonemes"]);
    refused(&folder, &["--evaluate", "other"], &["other: line 1: \"X\" is not a phoneme"]);
    folder.write("trained", "world W ER1 L D\n");
    refused(&folder, &["--evaluate", "trained"], &["trained: none of 1 word was held out of training"]);
    folder.write("m.safetensors", model(3, 2, 4)).write("cut.safetensors", [1, 2, 3]);
    let other = ["word", "--model", "m.safetensors", "--output", "out"];
    refused(&folder, &other, &["m.safetensors: not a grapheme-to-phoneme model", "found none"]);
    let cut = ["word", "--model", "cut.safetensors", "--output", "out"];
    refused(&folder, &cut, &["cut.safetensors: not a readable safetensors file"]);
}
