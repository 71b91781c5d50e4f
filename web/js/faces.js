// Select Faces: the images with a numbered box around each face. A click on a face offers to switch it on or off and to give it a
// fidelity of its own; a double click, or Space on it, switches it at once. The selection is the text of the node's own `numbers`
// widget and the fidelities that of `per_face` of CodeFormer Restore: both are saved with the workflow and mean the same in the API.

import { app } from "../../../scripts/app.js"
import { Panel, fileAddress, registerPanel } from "./panel.js"
import { element, say } from "./words.js"
import { followFaces } from "./wiring.js"

/** The numbers in a text such as "1, 3"; what is no number is left out. */
const listed = (text) => (text.match(/\d+/g) ?? []).map(Number)

/** Numbers for every image, and those of single images by their index, as `parse_face_numbers` of nodes/inputs.py reads them. */
function parsed(text) {
  const [everywhere, ...own] = String(text ?? "").split(/(\d+)\s*:/)
  const byImage = {}
  for (let at = 0; at < own.length; at += 2) byImage[own[at] - 1] = listed(own[at + 1])
  return { everywhere: listed(everywhere), byImage }
}

const ascending = (numbers) => [...numbers].sort((one, other) => one - other).join(", ")

class Picker extends Panel {
  static kinds = ["CodeFormerFaceSelect"]
  static key = "codeformer_faces"
  static style = "codeformer-faces"
  static height = 300
  static watched = ["numbers", "order", "first", "count"]

  constructor() {
    super()
    this.stage = element("div", { className: "stage" })
    this.about = element("div", { className: "bar about" })
    this.bar = element("div", { className: "bar" })
    this.status = element("output")
    this.root.append(this.stage, this.about, this.bar)
    this.chosen = null // the key of the face that was clicked
  }

  get pictures() {
    return this.output(Picker.key)
  }

  /** Whether the numbers are connected: then clicks could not change them. */
  get linked() {
    return this.node.inputs?.find((input) => input.name === "numbers")?.link != null
  }

  /** Every face, image after image in the order that the node is set to: `on` by its number, `kept` if no limit leaves it out. */
  get faces() {
    const order = this.widget("order").value
    const [first, count] = ["first", "count"].map((name) => this.widget(name).value)
    const { everywhere, byImage } = parsed(this.widget("numbers").value)
    return (this.pictures ?? []).flatMap((picture, image) => {
      const asked = byImage[image] ?? everywhere
      const faces = picture.faces
        .map((face, row) => ({ ...face, image, key: `${image}.${row}`, number: face.numbers[order] }))
        .sort((one, other) => one.number - other.number)
        .map((face) => ({ ...face, on: !asked.length || asked.includes(face.number) }))
      const left = faces.filter((face) => face.on && !face.reason)
      const kept = new Set(left.slice(first - 1, count ? first - 1 + count : undefined))
      return faces.map((face) => ({ ...face, kept: kept.has(face), limit: face.reason || (face.on && !kept.has(face) ? say("beyond") : "") }))
    })
  }

  /** CodeFormer Restore behind this node, if its fidelities are not connected; else null. */
  get restore() {
    const [restore] = followFaces(this.node, ["CodeFormerRestore"])
    const linked = restore?.inputs?.find((input) => input.name === "per_face")?.link != null
    return restore && !linked ? restore : null
  }

  /** The fidelities of their own that kept faces have, by key. */
  own(kept) {
    const text = String(this.restore?.widgets.find((widget) => widget.name === "per_face")?.value ?? "")
    const values = text.split(/[\s,;]+/).filter(Boolean)
    const value = (at) => (values.length === kept.length ? values[at] : values.length === 1 ? values[0] : "-")
    return new Map(kept.map((key, at) => [key, value(at)]).filter(([, own]) => own !== "-"))
  }

  /** The text of `per_face` for kept faces and their own fidelities. */
  perFace(kept, own) {
    return kept.some((key) => own.has(key)) ? kept.map((key) => own.get(key) ?? "-").join(", ") : ""
  }

  /** A widget was edited by hand: fidelities stay with their faces. */
  changed() {
    const before = this.kept ?? []
    const after = this.faces.filter((face) => face.kept).map((face) => face.key)
    const own = this.own(before)
    this.kept = after
    if (own.size && before.join() !== after.join()) this.write([this.restore, "per_face", this.perFace(after, own)])
  }

  toggle(face) {
    const faces = this.faces.map((one) => (one.key === face.key ? { ...one, on: !one.on } : one))
    if (!faces.some((one) => one.on)) return this.draw(say("last"))
    this.write([this.node, "numbers", this.numbers(faces)])
  }

  /** The shortest text that switches these faces on. */
  numbers(faces) {
    if (faces.every((face) => face.on)) return ""
    const images = this.pictures.map((_, image) => faces.filter((face) => face.image === image))
    const text = (group) => ascending(group.filter((face) => face.on).map((face) => face.number)) || "0"
    const seen = images.filter((group) => group.length)
    if (seen.length === 1) return text(seen[0])
    const same = new Set(seen.map((group) => (group.every((face) => face.on) ? "" : text(group))))
    if (same.size === 1) return [...same][0] // the same for every image, as a text written by hand is
    return images.flatMap((group, image) => (group.length && !group.every((face) => face.on) ? `${image + 1}: ${text(group)}` : [])).join("; ")
  }

  setFidelity(face, value) {
    const kept = this.faces.filter((one) => one.kept).map((one) => one.key)
    const own = this.own(kept)
    if (value === null) own.delete(face.key)
    else own.set(face.key, String(value))
    this.write([this.restore, "per_face", this.perFace(kept, own)])
  }

  show() {
    const faces = this.faces
    this.kept = faces.filter((face) => face.kept).map((face) => face.key)
    const own = this.own(this.kept)
    const pictures = this.pictures
    const pager = this.pager(pictures?.length ?? 0)
    const picture = pictures?.[this.index]
    const here = faces.filter((face) => face.image === this.index)
    this.stage.replaceChildren(picture ? this.picture(picture.image, here, own) : say(pictures ? "noFace" : "unseen"))
    const chosen = here.find((face) => face.key === this.chosen)
    this.about.replaceChildren(...(chosen ? this.offers(chosen, own) : []))
    this.status.value = this.linked ? say("linked") : faces.length ? say("chosen", { on: this.kept.length, all: faces.length }) : ""
    this.bar.replaceChildren(...pager, this.status)
    if (faces.length && !this.linked)
      this.bar.append(this.button("all", say("all"), say("allHint"), () => this.write([this.node, "numbers", ""])))
  }

  draw(message = "") {
    super.draw()
    if (message) this.status.value = message
  }

  picture(image, faces, own) {
    // Of a long batch only the first images come as files; the others have the same shape.
    const shown = element("img", { src: fileAddress(image ?? this.pictures[0].image), alt: "", draggable: false })
    const frame = element("div", { className: `picture ${image ? "" : "blank"}` }, shown)
    const fit = () => frame.style.setProperty("--ratio", shown.naturalWidth / shown.naturalHeight || 1)
    shown.onload = fit
    fit()
    frame.append(...faces.map((face) => this.box(face, own.get(face.key)))) // in the order in which Tab goes through them
    return frame
  }

  box(face, fidelity) {
    const words = [say("face", { number: face.number, score: face.score.toFixed(2), pixels: Math.round(face.pixels) })]
    if (face.limit) words.push(say("left", { reason: face.limit }))
    const choose = () => {
      this.chosen = face.key
      this.draw()
    }
    const box = this.button(`face ${face.number}`, "", words.join(" "), (event) => (event.detail > 1 ? this.toggle(face) : choose()))
    box.onkeydown = (event) => {
      if (event.key !== " ") return
      event.preventDefault()
      this.toggle(face)
    }
    box.className = `face${face.limit ? " limited" : ""}${face.key === this.chosen ? " chosen" : ""}`
    box.disabled = this.linked
    box.setAttribute("aria-pressed", face.on)
    box.append(element("span", { textContent: fidelity ? `${face.number} · w ${fidelity}` : face.number }))
    const [left, top, width, height] = face.place.map((share) => `${100 * share}%`)
    // Small faces lie on top, so that they can be clicked in front of larger ones.
    Object.assign(box.style, { left, top, width, height, zIndex: Math.max(1, 10000 - Math.round(face.pixels)) })
    return box
  }

  /** What a click on a face offers: on or off, and a fidelity of its own. */
  offers(face, own) {
    const name = say("number", { number: face.number })
    // No <input> where it can be helped: ComfyUI leaves Ctrl+Z to the one that has the focus.
    const on = this.button("on", `${face.on ? "☑" : "☐"} ${say("repair", { name })}`, say("repair", { name }), () => this.toggle(face))
    on.setAttribute("role", "checkbox")
    on.setAttribute("aria-checked", face.on)
    const offered = [on]
    if (face.limit) return [...offered, element("span", { className: "why", textContent: face.limit })]
    if (!face.kept || !this.restore) return offered
    const common = this.restore.widgets.find((widget) => widget.name === "fidelity").value
    const value = own.get(face.key) ?? common
    const slider = element("input", { type: "range", min: 0, max: 1, step: 0.05, value })
    slider.dataset.key = "fidelity"
    slider.setAttribute("aria-label", say("fidelityOf", { name }))
    const number = element("span", { className: "number", textContent: Number(value).toFixed(2) })
    slider.oninput = () => (number.textContent = Number(slider.value).toFixed(2))
    slider.onpointerup = () => slider.blur()
    slider.onchange = () => this.setFidelity(face, Number(slider.value))
    offered.push(element("label", { className: "fidelity" }, say("fidelity"), slider, number))
    if (own.has(face.key)) offered.push(this.button("common", say("common"), say("commonHint"), () => this.setFidelity(face, null)))
    return offered
  }
}

registerPanel(Picker, "faces")
