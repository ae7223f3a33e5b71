// Starts `cnngen lsp` and hands it what the editor asks.

const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

/** @type {LanguageClient | undefined} */
let client;

/** @type {string} The extension's own folder. */
let folder;

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("cnngen.restart", restart),
    vscode.commands.registerCommand("cnngen.fillFromSeed", fillFromSeed),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("cnngen.command")) restart();
    }),
  );
  folder = context.extensionPath;
  await start();
}

async function deactivate() {
  await client?.stop();
}

async function start() {
  const settings = vscode.workspace.getConfiguration("cnngen");
  const [command, ...args] = settings.get("command");
  const { input, classes, space, seed } = settings;
  client = new LanguageClient(
    "cnngen",
    "CNNGen",
    {
      command,
      args,
      transport: TransportKind.stdio,
      // A workspace is anybody's: a cnngen.py in it must not run.
      options: { cwd: folder, env: { ...process.env, PYTHONSAFEPATH: "1" } },
    },
    {
      documentSelector: [{ language: "cnn" }],
      initializationOptions: { input, classes, space, seed },
      synchronize: { configurationSection: "cnngen" },
    },
  );
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `CNNGen's language server does not start: ${error.message}. ` +
        "Install it with pip install 'cnngen[lsp]', and name the program in cnngen.command.",
    );
  }
}

async function restart() {
  await client?.stop().catch(() => undefined);
  await start();
}

async function fillFromSeed() {
  const uri = vscode.window.activeTextEditor?.document.uri;
  if (!uri || !client) return;
  const seed = await vscode.window.showInputBox({
    prompt: "Seed of what is drawn",
    value: "0",
    validateInput: (text) => (/^\d{1,9}$/.test(text) ? undefined : "A whole number from 0"),
  });
  if (seed === undefined) return;
  await client.sendRequest("workspace/executeCommand", {
    command: "cnngen.fill",
    arguments: [uri.toString(), Number(seed)],
  });
}

module.exports = { activate, deactivate };
