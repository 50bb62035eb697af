// Actions that need the API token. The token is kept in a variable of this module only.

const TOKEN_HEADER = (token) => ({ "Content-Type": "application/json", Authorization: `Bearer ${token}` });
const byId = (id) => document.getElementById(id);
const dialog = byId("ask");
let token = null;
let pending = null; // what the button in the dialog does

byId("act").hidden = false;

async function post(path, body, shown = token) {
  const answer = await fetch(path, { method: "POST", headers: TOKEN_HEADER(shown), body: JSON.stringify(body), credentials: "omit" });
  const result = await answer.json();
  if (answer.status === 401) lock();
  if (!answer.ok) throw new Error(result.error ?? `answered ${answer.status}`);
  return result;
}

// -- the token -------------------------------------------------------------------------------------------------

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = byId("token").value.trim();
  byId("token-fault").textContent = "";
  try {
    await post("/page/token", {}, given);
    token = given;
    byId("token").value = "";
    byId("token-form").hidden = true;
    byId("unlocked").hidden = false;
    document.body.classList.add("may-act");
    byId("lock").focus();
  } catch (fault) {
    byId("token-fault").textContent = fault.message;
    byId("token").focus();
  }
});

function lock() {
  token = null;
  byId("token-form").hidden = false;
  byId("unlocked").hidden = true;
  document.body.classList.remove("may-act");
}

byId("lock").addEventListener("click", () => {
  lock();
  byId("token").focus();
});

// -- the dialog ------------------------------------------------------------------------------------------------

function open(title, yes, fields) {
  byId("ask-heading").textContent = title;
  byId("ask-yes").textContent = yes;
  byId("ask-yes").disabled = true;
  byId("ask-fault").textContent = "";
  byId("ask-yes").hidden = false;
  ask(fields);
  dialog.showModal(); // with the focus on Cancel
}

function ask(fields) {
  for (const id of ["ask-for", "ask-who", "ask-why"]) byId(id).hidden = !fields.includes(id);
}

function show(...lines) {
  byId("ask-words").replaceChildren(
    ...lines.map((line) => {
      if (line instanceof Node) return line;
      const paragraph = document.createElement("p");
      paragraph.textContent = line;
      return paragraph;
    }),
  );
}

function list(items) {
  const made = document.createElement("ol");
  for (const item of items) made.append(Object.assign(document.createElement("li"), { textContent: item }));
  return made;
}

function ready(what) {
  pending = what;
  byId("ask-yes").disabled = false;
}

byId("ask-no").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => (pending = null));

byId("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (pending === null) return;
  byId("ask-yes").disabled = true;
  try {
    await pending();
    dialog.close();
    document.dispatchEvent(new Event("locum-acted"));
  } catch (fault) {
    byId("ask-fault").textContent = fault.message;
    byId("ask-yes").disabled = pending === null;
  }
});

// -- the actions ----------------------------------------------------------------------------------------------

function pause(service) {
  open(`Pause ${service}?`, "Pause", ["ask-for", "ask-why"]);
  show(
    `locum goes on looking at ${service} and writes down what it would do, and does nothing: if its holder dies meanwhile, ${service} stays down.`,
    "The pause ends at its time, or when a person resumes the service.",
  );
  ready(() => post(`/api/v1/services/${service}/pause`, { seconds: Number(byId("ask-seconds").value), reason: byId("ask-reason").value }));
}

function resume(service) {
  open(`Resume ${service}?`, "Resume", []);
  show(`locum evaluates ${service} at once and takes any necessary action.`);
  ready(() => post(`/api/v1/services/${service}/resume`, {}));
}

async function move(verb, service, to) {
  open(verb === "failback" ? `Fail ${service} back?` : `Switch ${service} over to ${to}?`, "Go ahead", []);
  show("Checking what this would do…");
  const path = `/api/v1/services/${service}/${verb}`;
  const asked = to ? { to } : {};
  try {
    const { plan, holder } = await post(path, { ...asked, dry_run: true });
    if (!dialog.open) return;
    if (plan.steps.length === 0) {
      byId("ask-yes").hidden = true;
      show(plan.kind === "nothing" ? "There is nothing to do." : "It would be refused, and nothing would change.", plan.reason);
      return;
    }
    show(
      `${service} is held by ${holder}. ${plan.target} is to hold it. ${service} does not answer for a moment; a step that does not work is undone.`,
      list(plan.steps.map((step) => `${step.name} on ${step.host}`)),
      plan.reason,
    );
    ask(["ask-who", "ask-why"]);
    ready(() => post(path, { ...asked, by: `${byId("ask-by").value.trim() || "unnamed person"}, on the page`, reason: byId("ask-reason").value }));
  } catch (fault) {
    byId("ask-words").replaceChildren();
    byId("ask-yes").hidden = true;
    byId("ask-fault").textContent = fault.message;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button || token === null) return;
  const { act, service, to } = button.dataset;
  if (act === "pause") pause(service);
  else if (act === "resume") resume(service);
  else move(act, service, to);
});
