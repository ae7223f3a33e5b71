// The document: its text, its name, and whether it is the studio's file.
// It is kept in the browser's storage, so that it survives a reload.

const KEPT = "cnngen-studio";

const STARTER = `HELLO -> input
  convbn(kernel=3, stride=1, padding=same)
  [add
    ( convbn(kernel=3, stride=1) dropout(rate=0.1) conv , Empty )
    ( bnconv(kernel=3) , conv )
  ] max_pooling(size=2, stride=2)
  [concat
    ( conv(kernel=1) conv(kernel=3) , conv(kernel=1) )
  ]
  globalPooling
  dense
output
`;

export class Draft {
  /** @param {{name: string, text: string, digest: string | null} | null} file of the studio */
  constructor(file) {
    this.file = file;
    const kept = read();
    if (kept && kept.file === (file?.name ?? null)) Object.assign(this, kept.draft);
    else this.begin();
    this.ends = kept?.ends ?? null;
  }

  /** Start from the studio's file, or from an example. */
  begin(file = this.file) {
    this.file = file;
    this.bound = file !== null;
    this.name = file?.name ?? "network.cnn";
    this.digest = file?.digest ?? null;
    this.text = file ? file.text : STARTER;
    this.saved = this.text;
  }

  /** Load another text. Saving it does not write to the studio's file. */
  take(text, name, saved = null) {
    Object.assign(this, { text, name, bound: false, saved });
  }

  /** Record that the current text was saved, with `file` if to the studio's file. */
  keep(file = null) {
    if (file) {
      this.file = file;
      this.digest = file.digest;
    }
    this.saved = file ? file.text : this.text;
  }

  get unsaved() {
    return this.text !== this.saved;
  }

  /** Whether the text differs from the studio's file. */
  get away() {
    return this.file !== null && (!this.bound || this.unsaved || this.digest !== this.file.digest);
  }

  /** Store the document in this browser. */
  store() {
    const { text, name, bound, digest, saved } = this;
    const draft = { text, name, bound, digest, saved };
    const kept = { file: this.file?.name ?? null, draft, ends: this.ends };
    try {
      localStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      // Storage is disabled or full: a reload starts afresh.
    }
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}
