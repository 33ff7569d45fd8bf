// UTF-8 where there is no TextDecoder and no TextEncoder: in an AudioWorklet. What wasm-bindgen made needs both as soon as it is loaded.

function decode(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i++];
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let code = more === 0 ? first : first & (0x3f >> more);
    for (let k = 0; k < more; k++) code = (code << 6) | (bytes[i++] & 0x3f);
    text += String.fromCodePoint(code);
  }
  return text;
}

function encode(text) {
  const bytes = [];
  for (const letter of text) {
    const code = letter.codePointAt(0);
    const more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    bytes.push(more === 0 ? code : ((0xff << (7 - more)) & 0xff) | (code >> (6 * more)));
    for (let k = more - 1; k >= 0; k--) bytes.push(0x80 | ((code >> (6 * k)) & 0x3f));
  }
  return Uint8Array.from(bytes);
}

globalThis.TextDecoder ??= class {
  decode(view) {
    return view ? decode(new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength)) : "";
  }
};
globalThis.TextEncoder ??= class {
  encode(text = "") {
    return encode(text);
  }

  encodeInto(text, view) {
    const bytes = encode(text);
    view.set(bytes);
    return { read: text.length, written: bytes.length };
  }
};
