// Select Faces: the images with a numbered box around each face; a click, or Space on it, switches the face on or off.
// The selection is the text of the node's own `numbers` widget, which is saved with the workflow and means the same in the API.

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { element, say } from "./words.js"

const STYLE = `
.codeformer-faces { display: flex; flex-direction: column; gap: 4px; min-height: 240px; height: 100%; font: 12px sans-serif;
  color: var(--input-text, #ddd); box-sizing: border-box; }
.codeformer-faces .stage { flex: 1; min-height: 0; container-type: size; display: grid; place-items: center; text-align: center; }
.codeformer-faces .picture { position: relative; isolation: isolate; width: min(100cqw, 100cqh * var(--ratio)); aspect-ratio: var(--ratio); }
.codeformer-faces .picture img { width: 100%; height: 100%; display: block; border-radius: 4px; }
.codeformer-faces .face { position: absolute; padding: 0; margin: 0; cursor: pointer; border-radius: 4px;
  border: 2px solid #3ddc84; background: transparent; }
.codeformer-faces .face > span { position: absolute; left: -2px; bottom: 100%; min-width: 14px; padding: 0 2px; box-sizing: border-box;
  font: bold 12px/14px sans-serif; border-radius: 3px; background: #3ddc84; color: #000; }
.codeformer-faces .face[aria-pressed=false] { border: 2px dashed #ccc; background: #0006;
  backdrop-filter: grayscale(1); }
.codeformer-faces .face[aria-pressed=false] > span { background: #777; color: #fff; }
.codeformer-faces .face.limited[aria-pressed=true] { border-color: #ffa02e; }
.codeformer-faces .face.limited[aria-pressed=true] > span { background: #ffa02e; }
.codeformer-faces .face:focus-visible, .codeformer-faces .bar button:focus-visible { outline: 2px solid #fff; outline-offset: 1px; }
.codeformer-faces .face:disabled { cursor: default; }
.codeformer-faces .bar { display: flex; gap: 6px; align-items: center; min-height: 20px; }
.codeformer-faces .bar output { flex: 1; }
.codeformer-faces .bar button { border: 0; border-radius: 4px; padding: 1px 8px; cursor: pointer; color: inherit;
  background: var(--comfy-input-bg, #444); }
`

/** The numbers in a text such as "1, 3"; what is no number is left out. */
function listed(text) {
  return String(text ?? "")
    .split(/[\s,;]+/)
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
}

/** The widget of one Select Faces node. */
class Picker {
  constructor(node) {
    this.node = node
    this.pictures = null // as `_thumbnails` of nodes/select.py sends them; null before the first run
    this.index = 0
    this.stage = element("div", { className: "stage" })
    this.status = element("output")
    this.bar = element("div", { className: "bar" })
    this.root = element("div", { className: "codeformer-faces" }, this.stage, this.bar)
    // Space and Enter press a face here; without this they would also reach the canvas.
    this.root.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && event.stopPropagation())
    node.addDOMWidget("codeformer_faces", "codeformer_faces", this.root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => 260,
    }).serialize = false
    for (const name of ["numbers", "order"]) this.follow(this.widget(name))
    this.draw()
  }

  widget(name) {
    return this.node.widgets.find((widget) => widget.name === name)
  }

  /** Draw anew when somebody edits a widget by hand. */
  follow(widget) {
    const before = widget.callback
    widget.callback = (...values) => {
      before?.apply(widget, values)
      this.draw()
    }
  }

  /** Whether the numbers are connected: then clicks could not change them. */
  get linked() {
    return this.node.inputs?.find((input) => input.name === "numbers")?.link != null
  }

  /** Every face of every image with its number in the order that the node is set to. */
  get faces() {
    const order = this.widget("order").value
    return (this.pictures ?? []).flatMap((picture) => picture.faces.map((face) => ({ ...face, number: face.numbers[order] })))
  }

  isOn(number) {
    const numbers = listed(this.widget("numbers").value)
    return !numbers.length || numbers.includes(number)
  }

  /** What a run has sent. */
  take(pictures) {
    this.pictures = pictures
    this.index = Math.min(this.index, Math.max(0, pictures.length - 1))
    // A reason that is not the number itself: it stands however the face is clicked.
    for (const face of this.pictures.flatMap((picture) => picture.faces))
      face.limited = face.reason && this.isOn(face.numbers[this.widget("order").value]) ? face.reason : ""
    this.draw()
  }

  toggle(number) {
    const known = new Set(this.faces.map((face) => face.number))
    const numbers = listed(this.widget("numbers").value)
    const on = new Set(numbers.length ? numbers : known)
    if (!on.delete(number)) on.add(number)
    if (!on.size) return this.draw(say("last"))
    const everyone = [...known].every((one) => on.has(one))
    this.choose(everyone ? "" : [...on].sort((one, other) => one - other).join(", "))
  }

  choose(text) {
    const widget = this.widget("numbers")
    widget.value = text
    widget.callback?.(text, app.canvas, this.node) // also draws
    this.node.graph?.setDirtyCanvas(true, true)
    this.node.graph?.change?.()
  }

  draw(message = "") {
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.key : null
    const picture = this.pictures?.[this.index]
    this.stage.replaceChildren(picture ? this.picture(picture) : say(this.pictures ? "noFace" : "unseen"))
    const numbers = new Set(this.faces.map((face) => face.number))
    const on = [...numbers].filter((number) => this.isOn(number)).length
    this.status.value = message || (this.linked ? say("linked") : numbers.size ? say("chosen", { on, all: numbers.size }) : "")
    this.bar.replaceChildren(...this.pager(), this.status)
    if (numbers.size && !this.linked) this.bar.append(this.button("all", say("all"), say("allHint"), () => this.choose("")))
    if (focused) this.root.querySelector(`[data-key="${focused}"]`)?.focus()
  }

  picture({ image, faces }) {
    const url = api.apiURL(`/view?${new URLSearchParams(image)}${app.getRandParam()}`)
    const shown = element("img", { src: url, alt: "", draggable: false })
    const frame = element("div", { className: "picture" }, shown)
    const fit = () => frame.style.setProperty("--ratio", shown.naturalWidth / shown.naturalHeight || 1)
    shown.onload = fit
    fit()
    const order = this.widget("order").value
    const inOrder = [...faces].sort((one, other) => one.numbers[order] - other.numbers[order]) // as Tab goes through them
    frame.append(...inOrder.map((face) => this.box(face, face.numbers[order])))
    return frame
  }

  box(face, number) {
    const words = [say("face", { number, score: face.score.toFixed(2), pixels: Math.round(face.pixels) })]
    if (this.pictures.length > 1) words.push(say("everywhere"))
    if (face.limited) words.push(say("left", { reason: face.limited }))
    const box = this.button(`face ${number}`, "", words.join(" "), () => this.toggle(number))
    box.className = face.limited ? "face limited" : "face"
    box.disabled = this.linked
    box.setAttribute("aria-pressed", this.isOn(number))
    box.append(element("span", { textContent: number }))
    const [left, top, width, height] = face.place.map((share) => `${100 * share}%`)
    // Small faces lie on top, so that they can be clicked in front of larger ones.
    Object.assign(box.style, { left, top, width, height, zIndex: Math.max(1, 10000 - Math.round(face.pixels)) })
    return box
  }

  pager() {
    const count = this.pictures?.length ?? 0
    if (count < 2) return []
    const turn = (step) => () => {
      this.index = (this.index + step + count) % count
      this.draw()
    }
    return [
      this.button("previous", "‹", say("previous"), turn(-1)),
      element("span", { textContent: say("picture", { index: this.index + 1, count }) }),
      this.button("next", "›", say("next"), turn(1)),
    ]
  }

  button(key, text, title, onclick) {
    const button = element("button", { type: "button", textContent: text, title, onclick })
    button.dataset.key = key
    button.setAttribute("aria-label", title)
    return button
  }
}

app.registerExtension({
  name: "codeformer.faces",
  setup() {
    document.head.append(element("style", { textContent: STYLE }))
  },
  nodeCreated(node) {
    if (node.constructor.comfyClass !== "CodeFormerFaceSelect") return
    const picker = (node.codeformerPicker = new Picker(node))
    const executed = node.onExecuted
    node.onExecuted = function (output) {
      executed?.call(this, output)
      if (output?.codeformer_faces) picker.take(output.codeformer_faces)
    }
    const connected = node.onConnectionsChange
    node.onConnectionsChange = function (...change) {
      connected?.apply(this, change)
      picker.draw()
    }
  },
  // A workflow that comes back from another tab: its widgets have their values now, and what the last run showed is known.
  loadedGraphNode(node) {
    const known = app.nodeOutputs?.[node.id]?.codeformer_faces
    if (known) node.codeformerPicker?.take(known)
    else node.codeformerPicker?.draw()
  },
})
