// What the pack's widgets say, in the language that ComfyUI is set to. The texts of nodes and inputs are in locales/.

import { app } from "../../../scripts/app.js"

const WORDS = {
  en: {
    unseen: "Run the workflow once to select faces here with a click.",
    noFace: "No face was found.",
    chosen: "{on} of {all} faces selected",
    last: "One face stays selected. To leave all faces as they are, bypass the nodes that repair them.",
    linked: "The numbers come from another node.",
    face: "Face {number}: confidence {score}, {pixels} px.",
    everywhere: "The number applies to every image.",
    left: "Left alone: {reason}.",
    previous: "Previous image",
    next: "Next image",
    picture: "Image {index} of {count}",
    all: "All",
    allHint: "Select every face",
    missing: "Not on this computer yet: {size}, {licence}.",
    fetched: "It is downloaded and checked when the workflow runs.",
    byHand: "Offline: put the file into {folder} yourself.",
    unknownSize: "unknown size",
    nonCommercial: "{licence} (non-commercial use only)",
  },
  zh: {
    unseen: "运行一次后，即可在此点击选择人脸。",
    noFace: "没有找到人脸。",
    chosen: "已选 {on} / {all} 张人脸",
    last: "至少保留一张人脸。若要全部保持原样，请绕过修复节点。",
    linked: "编号来自其他节点。",
    face: "人脸 {number}：置信度 {score}，{pixels} 像素。",
    everywhere: "编号对每张图像都有效。",
    left: "未处理：{reason}。",
    previous: "上一张图像",
    next: "下一张图像",
    picture: "第 {index} / {count} 张图像",
    all: "全选",
    allHint: "选择所有人脸",
    missing: "此电脑上还没有该文件：{size}，{licence}。",
    fetched: "运行工作流时会自动下载并校验。",
    byHand: "离线时：请手动将文件放入 {folder}。",
    unknownSize: "大小未知",
    nonCommercial: "{licence}（仅限非商业用途）",
  },
}

/** The language of WORDS and locales/ for the one that ComfyUI is set to. For zh-TW, as for all that are not here, ComfyUI shows
 *  the names of our nodes in English; so their options and widgets are English, too. */
export function language() {
  const locale = app.extensionManager?.setting?.get("Comfy.Locale")
  return locale in WORDS ? locale : "en"
}

/** The sentence of a key of WORDS, with its {names} filled in. */
export function say(key, values = {}) {
  const sentence = WORDS[language()][key]
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name])
}

/** An HTML element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
