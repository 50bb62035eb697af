// Make the page equal to new HTML by changing only what differs, so that the reading position and the focus stay
// where they are.

// Attributes that the person controls and not the server: opened details stay open.
const OWN = new Set(["open"]);

export function morph(element, html) {
  const wanted = document.createElement("template");
  wanted.innerHTML = html; // from our own server, which escapes outside text; scripts in it would not run
  children(element, wanted.content);
}

function children(here, there) {
  const wanted = [...there.childNodes];
  let at = here.firstChild;
  for (const node of wanted) {
    const match = find(here, at, node);
    if (match === null) {
      here.insertBefore(document.importNode(node, true), at);
      continue;
    }
    while (at !== match) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    at = at.nextSibling;
    one(match, node);
  }
  while (at !== null) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// Return the node, from `at` on, that is to become `node`: of the same id, or, where it has none, the next of its kind.
function find(here, at, node) {
  for (let other = at; other !== null; other = other.nextSibling) {
    if (other.nodeName !== node.nodeName) {
      if (!node.id) return null;
      continue;
    }
    if ((other.id ?? "") === (node.id ?? "")) return other;
    if (!node.id) return null;
  }
  return null;
}

function one(here, there) {
  if (here.isEqualNode(there)) return;
  if (here.nodeType !== Node.ELEMENT_NODE) {
    here.nodeValue = there.nodeValue;
    return;
  }
  for (const { name } of [...here.attributes]) {
    if (!there.hasAttribute(name) && !OWN.has(name)) here.removeAttribute(name);
  }
  for (const { name, value } of there.attributes) {
    if (here.getAttribute(name) !== value && !OWN.has(name)) here.setAttribute(name, value);
  }
  children(here, there);
}
