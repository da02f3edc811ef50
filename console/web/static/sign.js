// Sign a statement in the browser with a key file: an Ed25519 seed of 32 bytes, or PKCS#8 (PEM). The key is read here and sent nowhere.
// eddsa-jcs-2022: SHA-256(JCS(proof configuration)) then SHA-256(JCS(document)), signed. Offered for schemes that are not official only:
// whoever serves this page could serve another script, so a real body signs on its own machine.
"use strict";

const PKCS8_HEAD = Uint8Array.from([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]);
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const unbase64 = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

function base58(bytes) {
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return "1".repeat([...bytes].findIndex((byte) => byte !== 0)) + text;
}

// RFC 8785 is defined by what JSON.stringify does, with the keys in order.
function jcs(value) {
  if (Array.isArray(value)) return `[${value.map(jcs).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${jcs(value[key])}`).join(",")}}`;
}

async function readKey(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const pem = /-----BEGIN PRIVATE KEY-----([\s\S]+)-----END PRIVATE KEY-----/.exec(new TextDecoder().decode(bytes));
  const pkcs8 = pem ? unbase64(pem[1].replace(/\s/g, "")) : bytes.length === 32 ? joined(PKCS8_HEAD, bytes) : bytes;
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  return { key, multikey: "z" + base58(joined([0xed, 0x01], unbase64(x))) };
}

async function secured(document, { key, multikey }) {
  const proof = {
    type: "DataIntegrityProof",
    cryptosuite: "eddsa-jcs-2022",
    created: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    verificationMethod: `did:key:${multikey}#${multikey}`,
    proofPurpose: "assertionMethod",
    "@context": document["@context"],
  };
  const hash = async (value) => sha256(new TextEncoder().encode(jcs(value)));
  const signature = await crypto.subtle.sign("Ed25519", key, joined(await hash(proof), await hash(document)));
  return { ...document, proof: { ...proof, proofValue: "z" + base58(new Uint8Array(signature)) } };
}

async function signHere(panel) {
  const statement = document.getElementById("statement-form");
  const handIn = document.getElementById("sign-form");
  const held = await readKey(panel.querySelector("input[type=file]").files[0]);
  const asked = new FormData(statement);
  asked.set("did", `did:key:${held.multikey}`);
  const answer = await fetch(statement.action, { method: "POST", body: asked });
  if (!answer.ok) throw new Error(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".refused")?.textContent ?? answer.status);
  const files = new DataTransfer();
  files.items.add(new File([JSON.stringify(await secured(await answer.json(), held))], "signed.json", { type: "application/json" }));
  handIn.querySelector("input[type=file]").files = files.files;
  handIn.submit();
}

const panel = document.getElementById("sign-here");
if (panel && globalThis.crypto?.subtle) {
  panel.hidden = false;
  panel.querySelector("button").addEventListener("click", async (event) => {
    const said = panel.querySelector("output");
    said.textContent = "";
    event.target.disabled = true;
    try {
      await signHere(panel);
    } catch (error) {
      said.textContent = panel.dataset.failed + " " + error.message;
      event.target.disabled = false;
    }
  });
}
